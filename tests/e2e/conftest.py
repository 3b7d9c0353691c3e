"""The deployed system that all end-to-end tests share.

By default the system runs on its own local AWS: a free port and a temporary directory, both removed at the end. With
`make e2e IAM=1` the local AWS enforces IAM: each function acts with its own role. With
`make e2e CLOUD=localstack ENDPOINT=…` the system is deployed to a running LocalStack and deleted there at the end.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.environments import load
from infra.local import cloud, environment
from infra.local.client import Client
from infra.local.deploy import Deployment, Stack
from infra.local.environment import Workspace
from infra.local.issuer import TokenIssuer
from infra.settings import SCOPES

IS_LOCALSTACK = os.environ.get("TRIMTAB_CLOUD") == "localstack"
ENFORCES_IAM = os.environ.get("TRIMTAB_IAM") == "1" and not IS_LOCALSTACK
KILLING = ["test_restart.py", "ledger/test_imports.py"]
"""Tests that kill processes of the local AWS."""
collect_ignore = KILLING if IS_LOCALSTACK else []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests marked `last` at the end."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@dataclass(frozen=True)
class System:
    """The deployed system, with clients for the API and for AWS services."""

    stack: Stack
    issuer: TokenIssuer
    cloud_name: str
    workspace: Workspace

    def client(
        self, tenant: str = "demo", user_id: str | None = None, scopes: Sequence[str] = SCOPES, **claims: Any
    ) -> Client:
        """Return an API client with a new token."""
        token = self.issuer.token(tenant=tenant, user_id=user_id, scopes=scopes, **claims)
        return Client(self.stack.api_url, token)

    def anonymous(self, token: str | None = None) -> Client:
        """Return an API client without a token, or with an arbitrary text as its token."""
        return Client(self.stack.api_url, token)

    def aws(self, service: str) -> Any:
        """Return a boto3 client of the local cloud."""
        return environment.client(service, self.stack.endpoint_url)


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Deploy the system once for all tests. Each test uses its own tenant."""
    environment.isolate()
    workspace = Workspace(tmp_path_factory.mktemp("cloud"))
    if IS_LOCALSTACK:
        yield from _on_localstack(workspace, os.environ["TRIMTAB_ENDPOINT"])
    else:
        yield from _on_own_cloud(workspace)


@pytest.fixture(scope="session", autouse=True)
def unreadable(system: System) -> str:
    """Send an unreadable message before the first test. All its deliveries fail while the other tests run."""
    body = ' not JSON:\t{"schema_version": 1,}\r\n é 漢 '
    system.aws("sqs").send_message(QueueUrl=system.stack.queues["rebalance-requests"], MessageBody=body)
    return body


def _on_own_cloud(workspace: Workspace) -> Iterator[System]:
    try:
        running = cloud.start(workspace, cloud.free_port())
        yield _deploy(workspace, running.endpoint, "local", None)
    finally:
        cloud.stop(workspace)
        _remove(workspace.directory)


def _on_localstack(workspace: Workspace, endpoint: str) -> Iterator[System]:
    running = cloud.attach(endpoint)
    bundle = os.environ.get("TRIMTAB_BUNDLE") or cloud.functions_run_in(running.endpoint)
    try:
        yield _deploy(workspace, running.endpoint, "localstack", bundle)
    finally:
        _delete_stacks(running.endpoint, load("localstack").prefix)
        _remove(workspace.directory)


def _deploy(workspace: Workspace, endpoint: str, env: str, bundle: str | None) -> System:
    issuer = TokenIssuer(workspace.issuer_key)
    issuer.create()
    issuer.publish(endpoint)
    stack = Deployment(workspace, endpoint, env=env, bundle=bundle).run(issuer.token())
    return System(stack, issuer, env, workspace)


def _delete_stacks(endpoint: str, prefix: str) -> None:
    cloudformation = environment.client("cloudformation", endpoint)
    for name in (f"{prefix}-service", f"{prefix}-retained"):
        cloudformation.delete_stack(StackName=name)
        cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 300}
        )


def _remove(directory: Path) -> None:
    """Remove the many files of the cloud, which pytest would keep for three more runs."""
    shutil.rmtree(directory, ignore_errors=True)

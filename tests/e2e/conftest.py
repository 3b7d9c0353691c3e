"""One deployed system for all end-to-end tests.

By default it runs on a local AWS of its own: a free port, files in a temporary directory, all gone afterwards. With
`make e2e CLOUD=localstack ENDPOINT=…` it is deployed to a LocalStack that already runs, and deleted there afterwards.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.config import SCOPES, load
from infra.local import cloud, environment
from infra.local.client import Client
from infra.local.deploy import Deployment, Stack
from infra.local.environment import Workspace
from infra.local.issuer import Issuer


@dataclass(frozen=True)
class System:
    """The deployed system as its users meet it."""

    stack: Stack
    issuer: Issuer
    cloud_name: str

    def client(
        self, tenant: str = "demo", user_id: str | None = None, scopes: Sequence[str] = SCOPES, **claims: Any
    ) -> Client:
        """The API, called with a fresh token."""
        token = self.issuer.token(tenant=tenant, user_id=user_id, scopes=scopes, **claims)
        return Client(self.stack.api_url, token)

    def nobody(self, token: str | None = None) -> Client:
        """The API, called without a token or with any text in its place."""
        return Client(self.stack.api_url, token)

    def aws(self, service: str) -> Any:
        """A boto3 client of the local cloud."""
        return environment.client(service, self.stack.endpoint_url)


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Deployed once, used by every test: tests keep apart by tenant."""
    environment.isolate()
    workspace = Workspace(tmp_path_factory.mktemp("cloud"))
    if os.environ.get("TRIMTAB_CLOUD") == "localstack":
        yield from _on_localstack(workspace, os.environ["TRIMTAB_ENDPOINT"])
    else:
        yield from _on_own_cloud(workspace)


@pytest.fixture(scope="session", autouse=True)
def unreadable(system: System) -> str:
    """A message that no worker can read, sent before the first test: it fails all its tries while the others run."""
    body = ' not JSON:\t{"schema_version": 1,}\r\n é 漢 '
    system.aws("sqs").send_message(QueueUrl=system.stack.queues["rebalance-requests"], MessageBody=body)
    return body


def _on_own_cloud(workspace: Workspace) -> Iterator[System]:
    try:
        running = cloud.start(workspace, cloud.free_port())
        yield _deployed(workspace, running.endpoint, "local", None)
    finally:
        cloud.stop(workspace)
        _remove(workspace.directory)


def _on_localstack(workspace: Workspace, endpoint: str) -> Iterator[System]:
    running = cloud.attach(endpoint)
    bundle = os.environ.get("TRIMTAB_BUNDLE") or cloud.functions_run_in(running.endpoint)
    try:
        yield _deployed(workspace, running.endpoint, "localstack", bundle)
    finally:
        _delete_stacks(running.endpoint, load("localstack").prefix)
        _remove(workspace.directory)


def _deployed(workspace: Workspace, endpoint: str, env: str, bundle: str | None) -> System:
    issuer = Issuer(workspace.issuer_key)
    issuer.create()
    issuer.publish(endpoint)
    stack = Deployment(workspace, endpoint, env=env, bundle=bundle).run(issuer.token())
    return System(stack, issuer, env)


def _delete_stacks(endpoint: str, prefix: str) -> None:
    cloudformation = environment.client("cloudformation", endpoint)
    for name in (f"{prefix}-service", f"{prefix}-data"):
        cloudformation.delete_stack(StackName=name)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def _remove(directory: Path) -> None:
    """The cloud's files are many and useless; pytest would keep them for three more runs."""
    shutil.rmtree(directory, ignore_errors=True)

"""The deployment that a command acts on: the local stack, or an environment on AWS."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import boto3
import click

from infra.environments import load
from infra.local import cloud, environment
from infra.local.client import Client
from infra.local.deploy import Stack, read, stack_of
from infra.local.environment import Workspace
from infra.local.issuer import TokenIssuer
from infra.settings import SCOPES

SESSION = "trimtab"


@dataclass(frozen=True)
class DeployedSystem:
    """A deployment: addresses, clients of AWS by service, and the client of the API.

    `redrive_role` is the ARN of the role that redrives dead letters, empty on a local cloud, which admits any sender.
    """

    stack: Stack
    aws: Callable[[str], Any]
    api: Client
    redrive_role: str = ""

    def redriver(self) -> Callable[[str], Any]:
        """Return the clients by service for reading and sending dead letters, with the redrive role."""
        if not self.redrive_role:
            return self.aws
        answer = self.aws("sts").assume_role(RoleArn=self.redrive_role, RoleSessionName=SESSION)
        keys = answer["Credentials"]
        session = boto3.session.Session(
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            region_name=self.stack.region,
        )
        return session.client  # type: ignore[return-value]


@dataclass(frozen=True)
class DeploymentOptions:
    """The options that choose a deployment. `--local` and `--env` exclude each other."""

    local: bool
    env: str | None
    profile: str | None
    region: str | None
    token: str | None
    tenant: str

    def open(self) -> DeployedSystem:
        """Return the chosen deployment; raises `UsageError` unless exactly one is chosen."""
        if self.local == bool(self.env):
            raise click.UsageError("Choose the deployment: --local, or --env NAME for an environment on AWS.")
        return self._local() if self.local else self._on_aws(str(self.env))

    def _local(self) -> DeployedSystem:
        environment.isolate()
        workspace = Workspace()
        stack = read(workspace)
        if not cloud.is_answering(stack.endpoint_url):
            raise environment.LocalError(f"nothing runs at {stack.endpoint_url}: `make up` starts it")
        os.environ["AWS_ENDPOINT_URL"] = stack.endpoint_url  # for the default clients of the code of functions
        token = TokenIssuer(workspace.issuer_key).token(tenant=self.tenant, scopes=SCOPES)
        return DeployedSystem(stack, partial(_local_client, stack.endpoint_url), Client(stack.api_url, token))

    def _on_aws(self, env: str) -> DeployedSystem:
        try:
            prefix = load(env).prefix
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        boto3.setup_default_session(profile_name=self.profile, region_name=self.region)
        session = boto3.session.Session(profile_name=self.profile, region_name=self.region)
        cloudformation = session.client("cloudformation")
        retained, service = (_outputs(cloudformation, f"{prefix}-{name}") for name in ("retained", "service"))
        stack = stack_of(retained, service, token=self.token or "", endpoint="", region=session.region_name or "")
        client: Callable[[str], Any] = session.client  # type: ignore[assignment]
        return DeployedSystem(stack, client, Client(stack.api_url, self.token), retained.get("RedriveRoleArn", ""))


def _local_client(endpoint: str, service: str) -> Any:
    return environment.client(service, endpoint)


def _outputs(cloudformation: Any, name: str) -> Mapping[str, str]:
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}

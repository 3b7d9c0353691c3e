"""The operator's command line over the in-process system."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
from click.testing import CliRunner, Result

from infra.local.client import ApiResponse, Client
from infra.local.deploy import Stack
from infra.operator.cli import trimtab
from infra.operator.deployment import DeployedSystem
from tests.support import aws_setup
from tests.support.system import ALL_SCOPES, BUS, TABLES, System, authorized

OPERATOR_SCOPES = f"{ALL_SCOPES} operator"


class InProcessClient(Client):
    """Calls the handlers in this process, with the claims of a token."""

    def __init__(self, system: System, scope: str, tenant: str) -> None:
        super().__init__("http://localhost")
        self._system, self._claims = system, authorized(tenant, scope=scope)

    def call(self, method: str, path: str, body: object = None, **_: Any) -> ApiResponse:
        """Return the answer of the handler."""
        parts = urlsplit(path)
        query = dict(parse_qsl(parts.query))
        sent = self._system.http(method, "/" + parts.path, body, query=query, authorizer=self._claims)
        return ApiResponse(sent.status, sent.headers, sent.text or "")


@dataclass
class FakeLogs:
    """CloudWatch Logs and Lambda with one function per queue, whose log has these lines."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    searches: list[dict[str, Any]] = field(default_factory=list)

    def list_event_source_mappings(self, EventSourceArn: str) -> dict[str, Any]:  # noqa: N803 - the name of boto3
        """Return the function that reads the queue: `on-<queue>`."""
        function = f"arn:aws:lambda:us-east-1:123456789012:function:on-{EventSourceArn.rpartition(':')[2]}"
        return {"EventSourceMappings": [{"FunctionArn": function}]}

    def filter_log_events(self, **arguments: Any) -> dict[str, Any]:
        """Return every line as JSON, and a line that is not JSON."""
        self.searches.append(arguments)
        return {"events": [{"message": text} for text in ("START", *map(json.dumps, self.lines))]}


@dataclass
class Operator:
    """Runs commands on the in-process system; takes the place of the options that choose a deployment."""

    system: System
    logs: FakeLogs = field(default_factory=FakeLogs)
    scope: str = OPERATOR_SCOPES
    tenant: str = "demo"
    endpoint: str = "http://localhost"
    queues: dict[str, str] = field(default_factory=dict)

    def add_queue(self, name: str) -> str:
        """Create a queue beside the queues of the system, and return its URL."""
        self.queues[name] = aws_setup.add_queue(name)
        return self.queues[name]

    def open(self) -> DeployedSystem:
        """Return the system as a target."""
        stack = Stack(
            api_url="http://localhost",
            token="",
            endpoint_url=self.endpoint,
            region="us-east-1",
            queues=self.queues,
            tables={name: name for name in TABLES},
            event_bus=BUS,
        )
        return DeployedSystem(stack, self._aws, InProcessClient(self.system, self.scope, self.tenant))

    def run(self, *arguments: str) -> Result:
        """Run a command and return its result."""
        return CliRunner().invoke(trimtab, arguments, obj=self, catch_exceptions=False)

    def rows(self, *arguments: str) -> Any:
        """Run a command with `--json` and return what it printed."""
        result = self.run(*arguments, "--json")
        assert result.stdout, result.stderr
        return json.loads(result.stdout)

    def _aws(self, service: str) -> Any:
        return self.logs if service in {"lambda", "logs"} else boto3.client(service)  # type: ignore[call-overload]

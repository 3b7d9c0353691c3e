"""Deploy the app to a local cloud with the pinned CDK command line, and store the addresses in `stack.json`."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from infra.config import ROOT
from infra.environments import load
from infra.local.environment import REGION, LocalError, Workspace, client, isolated

CDK = ROOT / ".local" / "node" / "node_modules" / ".bin" / "cdk"
ACCOUNT = "000000000000"


@dataclass(frozen=True)
class Stack:
    """The addresses of a deployment: the content of `stack.json`."""

    api_url: str
    token: str
    endpoint_url: str
    region: str
    queues: dict[str, str]
    tables: dict[str, str]
    event_bus: str
    buckets: dict[str, str] = field(default_factory=dict)
    socket_url: str = ""
    """The address of the WebSocket API; empty for a cloud without one."""

    def save(self, workspace: Workspace) -> None:
        """Write `stack.json`. Only the owner may read the file, because it contains a token."""
        workspace.stack_file.touch(mode=0o600)
        workspace.stack_file.write_text(json.dumps(asdict(self), indent=2) + "\n")


@dataclass(frozen=True)
class Deployment:
    """The parameters of a deployment: environment, endpoint, and the platform of the functions."""

    workspace: Workspace
    endpoint: str
    env: str = "local"
    bundle: str | None = None

    def run(self, token: str) -> Stack:
        """Deploy all stacks and return the addresses. The app is synthesised while the cloud is bootstrapped.

        The e-mail address of the sender is verified too; on AWS the owner verifies the address by e-mail.
        """
        if not CDK.exists():
            raise LocalError("the CDK command line is not installed: run `make up`")
        self.workspace.deploy_log.unlink(missing_ok=True)
        with ThreadPoolExecutor(2) as pool:
            steps = [pool.submit(self._bootstrap), pool.submit(self._synthesise)]
            for step in steps:
                step.result()
        outputs = self.workspace.directory / "outputs.json"
        choices = ["--method", "direct", "--require-approval", "never", "--outputs-file", str(outputs)]
        self._cdk(["deploy", "--all", "--app", str(self.workspace.assembly), *choices])
        client("ses", self.endpoint).verify_email_identity(EmailAddress=load(self.env).mail_sender)
        return self._stack(json.loads(outputs.read_text()), token)

    def _bootstrap(self) -> None:
        self._cdk(["bootstrap", f"aws://{ACCOUNT}/{REGION}", "--app", ""])

    def _synthesise(self) -> None:
        chosen = {"env": self.env, "bundle": self.bundle, "endpoint": self.endpoint}
        context = {**json.loads((ROOT / "cdk.json").read_text())["context"], **chosen}
        # Each asset is read once, so that a copy in the assembly would only take time.
        context["aws:cdk:disable-asset-staging"] = True
        places = {"CDK_OUTDIR": str(self.workspace.assembly), "CDK_CONTEXT_JSON": json.dumps(context)}
        self._logged([sys.executable, "-m", "infra.app"], places)

    def _cdk(self, arguments: Sequence[str]) -> None:
        quiet = ["--no-notices", "--no-version-reporting", "--ci", "--output", str(self.workspace.assembly)]
        self._logged([str(CDK), *arguments, *quiet], {})

    def _logged(self, command: Sequence[str], extra: dict[str, str]) -> None:
        environment = {
            **isolated(),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_HOME": str(self.workspace.directory / "cdk"),
            "NO_COLOR": "1",
            **extra,
        }
        with self.workspace.deploy_log.open("ab") as log:
            code = subprocess.run(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            ).returncode
        if code:
            lines = self.workspace.deploy_log.read_text(errors="replace").splitlines()
            end = "\n".join(lines[-25:])
            raise LocalError(f"the deployment failed; {self.workspace.deploy_log} ends with:\n{end}")

    def _stack(self, outputs: dict[str, dict[str, str]], token: str) -> Stack:
        prefix = load(self.env).prefix
        retained, service = outputs[f"{prefix}-retained"], outputs[f"{prefix}-service"]
        return stack_of(retained, service, token=token, endpoint=self.endpoint, region=REGION)


def stack_of(
    retained: Mapping[str, str], service: Mapping[str, str], *, token: str, endpoint: str, region: str
) -> Stack:
    """Return the addresses in the outputs of the two stacks."""
    return Stack(
        api_url=service["ApiUrl"],
        token=token,
        endpoint_url=endpoint,
        region=region,
        queues=_named(retained, "Queue"),
        tables=_named(retained, "Table"),
        event_bus=retained["EventBusName"],
        buckets=_named(retained, "Bucket"),
        socket_url=service.get("SocketUrl", ""),
    )


def read(workspace: Workspace) -> Stack:
    """Return the addresses stored by the last `make up`. Raises LocalError if there are none."""
    try:
        noted: dict[str, Any] = json.loads(workspace.stack_file.read_text())
    except FileNotFoundError:
        raise LocalError("nothing is deployed: run `make up`") from None
    return Stack(**noted)


def _named(outputs: Mapping[str, str], kind: str) -> dict[str, str]:
    """Return the outputs of a kind: `QueueRebalanceRequests: url` becomes `rebalance-requests: url`."""
    found = {key.removeprefix(kind): value for key, value in outputs.items() if key.startswith(kind)}
    return {re.sub(r"(?<!^)(?=[A-Z])", "-", key).lower(): value for key, value in found.items()}

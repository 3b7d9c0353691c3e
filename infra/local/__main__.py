"""`python -m infra.local COMMAND`: the commands of the local cloud, called by make."""

import argparse
import json
import secrets
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from infra.local import cloud, demo, deploy, logs, report, sample_data, simulate
from infra.local.client import Client
from infra.local.environment import CREDENTIALS, LocalError, Workspace, client, isolate
from infra.local.issuer import TokenIssuer
from infra.settings import SCOPES, FileBars
from trimtab.kernel.clock import utc_now

DEFAULT_PORT = 4566
PUBLIC_QUEUES = ("rebalance-requests", "quotes", "insights")
_console = Console(highlight=False, soft_wrap=True)


def up(arguments: argparse.Namespace) -> None:
    """Start the local AWS with the stored data, deploy the current code, load the sample data and run the example."""
    workspace = Workspace()
    workspace.directory.mkdir(exist_ok=True)
    localstack = arguments.cloud == "localstack"
    with _step("local AWS" if not localstack else f"LocalStack at {arguments.endpoint}"):
        running = cloud.attach(arguments.endpoint) if localstack else cloud.start(workspace, arguments.port)
    issuer = TokenIssuer(workspace.issuer_key)
    with _step("issuer and keys"):
        issuer.create()
        issuer.publish(running.endpoint)
    with _step("deployment (log: .local/deploy.log)"):
        bundle = arguments.bundle or (cloud.functions_run_in(running.endpoint) if localstack else None)
        stack = deploy.Deployment(workspace, running.endpoint, env=arguments.cloud, bundle=bundle).run(issuer.token())
        stack.save(workspace)
    with _step("sample: assets with two years of synthetic bars"):
        _load_sample(stack)
    with _step("example: a drifted portfolio"):
        rebalance = demo.run(Client(stack.api_url, stack.token))
    _show(stack, rebalance)


def down(arguments: argparse.Namespace) -> None:
    """Stop the local AWS. The data stays stored, unless `--forget` is given. A LocalStack keeps running."""
    workspace = Workspace()
    stopped = cloud.stop(workspace)
    if arguments.forget:
        workspace.stack_file.unlink(missing_ok=True)
        shutil.rmtree(workspace.cloud_files, ignore_errors=True)
    _console.print("stopped" if stopped else "no local AWS was running")


def token(arguments: argparse.Namespace) -> None:
    """Print only a token, for use in shell commands."""
    workspace = Workspace()
    _running_stack(workspace)
    scopes = arguments.scopes.replace(",", " ").split() if arguments.scopes else SCOPES
    issuer = TokenIssuer(workspace.issuer_key)
    print(issuer.token(tenant=arguments.tenant, user_id=arguments.user_id, scopes=scopes))


def print_environment(_: argparse.Namespace) -> None:
    """Print shell exports: addresses, token, two request headers, public queue URLs, settings of the AWS CLI."""
    workspace = Workspace()
    stack = _running_stack(workspace)
    token = TokenIssuer(workspace.issuer_key).token(tenant="demo", user_id=None, scopes=SCOPES)
    queues = {f"{name.upper().replace('-', '_')}_QUEUE": stack.queues[name] for name in PUBLIC_QUEUES}
    variables = {
        "API": stack.api_url,
        **({"SOCKET": stack.socket_url} if stack.socket_url else {}),
        "TOKEN": token,
        "AUTH": f"Authorization: Bearer {token}",
        "JSON": "Content-Type: application/json",
        **queues,
        **CREDENTIALS,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_ENDPOINT_URL": stack.endpoint_url,
    }
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


def follow_logs(_: argparse.Namespace) -> None:
    """Follow the logs of all functions."""
    logs.follow(_running_stack(Workspace()).endpoint_url)


def run_simulation(arguments: argparse.Namespace) -> None:
    """Move prices and print the resulting rebalances."""
    stack = _running_stack(Workspace())
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    _console.print(f"seed {seed}", markup=False)
    simulation = simulate.Simulation(Client(stack.api_url, stack.token), portfolios=arguments.portfolios, seed=seed)
    result = report.run(_console, simulation, portfolios=arguments.portfolios, changes=arguments.changes)
    report.show(_console, result)
    if not all(result.out_of_band.values()):
        raise LocalError("a portfolio is out of band and has no decision that explains it: see `make logs`")


def _running_stack(workspace: Workspace) -> deploy.Stack:
    """Return the deployed stack. Raises LocalError if nothing is deployed, or if the cloud does not answer."""
    stack = deploy.read(workspace)
    if not cloud.is_answering(stack.endpoint_url):
        raise LocalError(f"nothing runs at {stack.endpoint_url}: `make up` starts it with the stored data")
    return stack


def _load_sample(stack: deploy.Stack) -> None:
    """Store the sample data; put the bars of its newest day into the bucket, as a file for the nightly ingestion."""
    now = utc_now()
    if sample_data.load(client("dynamodb", stack.endpoint_url), stack.tables["market"], now) and stack.buckets:
        name, text = sample_data.newest_file(now)
        key = f"{FileBars().prefix}/{name}"
        client("s3", stack.endpoint_url).put_object(Bucket=stack.buckets["bars"], Key=key, Body=text.encode())


@contextmanager
def _step(title: str) -> Iterator[None]:
    started = time.monotonic()
    with _console.status(title):
        yield
    _console.print(f"[green]ok[/green]  {title} [dim]{time.monotonic() - started:.1f} s[/dim]")


def _show(stack: deploy.Stack, rebalance: dict[str, Any]) -> None:
    _console.print(f"\nAPI    {stack.api_url}\nToken  {stack.token}", markup=False)
    _console.print("       tenant demo, all scopes, 12 h; `make token` prints another", markup=False)
    if stack.socket_url:
        _console.print(f"Socket {stack.socket_url}", markup=False)
    _console.print("Stack  .local/stack.json", markup=False)
    target, reported = demo.PORTFOLIO["allocation"], demo.REPORT["new_allocation"]
    _console.print("\nPOST /portfolio  " + json.dumps(target), markup=False)
    _console.print("POST /rebalance  " + json.dumps(reported), markup=False)
    path = f"/portfolios/{rebalance['portfolio_id']}/rebalances/{rebalance['rebalance_id']}"
    _console.print(f"GET {path}\n  {rebalance['status']}", markup=False)
    for trade in rebalance["transactions"]:
        _console.print(f"  {trade['action']:<4} {trade['rebalance_percent']:>8} %  {trade['asset']}", markup=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    commands = parser.add_subparsers(required=True)
    start = commands.add_parser("up", help="start, deploy, run the example")
    start.add_argument("--port", type=int, default=DEFAULT_PORT)
    start.add_argument("--cloud", choices=["local", "localstack"], default="local")
    start.add_argument(
        "--endpoint", default=f"http://localhost:{DEFAULT_PORT}", help="endpoint of a running LocalStack"
    )
    start.add_argument("--bundle", choices=["", "host", "container"], help="the platform that runs the functions")
    start.set_defaults(run=up)
    end = commands.add_parser("down", help="stop the local AWS")
    end.add_argument("--forget", action="store_true", help="remove the stored data")
    end.set_defaults(run=down)
    sign = commands.add_parser("token", help="print a token")
    sign.add_argument("--tenant", default="demo")
    sign.add_argument("--user-id", default=None)
    sign.add_argument("--scopes", default="", help="separated by commas or spaces; all scopes by default")
    sign.set_defaults(run=token)
    commands.add_parser("env", help="print shell exports for the running stack").set_defaults(run=print_environment)
    commands.add_parser("logs", help="follow the logs of all functions").set_defaults(run=follow_logs)
    moves = commands.add_parser("simulate", help="move prices on the running system")
    moves.add_argument("--changes", type=_positive, default=200)
    moves.add_argument("--portfolios", type=_positive, default=20)
    moves.add_argument("--seed", type=int, default=None, help="repeats the portfolios and prices of an earlier run")
    moves.set_defaults(run=run_simulation)
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main() -> int:
    """Run a command. A LocalError is printed as one line; other exceptions are bugs and show a traceback."""
    arguments = _arguments()
    isolate()
    try:
        arguments.run(arguments)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m infra.local up|down|token|logs|simulate|backfill|rebuild`: the system on one laptop, called by make."""

import argparse
import json
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from infra.config import SCOPES, FileBars
from infra.local import backfill, cloud, demo, deploy, logs, report, sample_data, simulate
from infra.local.client import Client
from infra.local.environment import LocalError, Workspace, client, isolate
from infra.local.issuer import Issuer
from infra.tools import rebuild
from infra.tools.backfill import BackfillFailed, Wanted, add_arguments
from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import Conflict

DEFAULT_PORT = 4566
_console = Console(highlight=False, soft_wrap=True)


def up(arguments: argparse.Namespace) -> None:
    """Local AWS, keys, deployment, example. Running it again deploys what has changed."""
    workspace = Workspace()
    workspace.directory.mkdir(exist_ok=True)
    localstack = arguments.cloud == "localstack"
    with _step("local AWS" if not localstack else f"LocalStack at {arguments.endpoint}"):
        where = cloud.attach(arguments.endpoint) if localstack else cloud.start(workspace, arguments.port)
    issuer = Issuer(workspace.issuer_key)
    with _step("issuer and keys"):
        issuer.create()
        issuer.publish(where.endpoint)
    with _step("deployment (log: .local/deploy.log)"):
        bundle = arguments.bundle or (cloud.functions_run_in(where.endpoint) if localstack else None)
        stack = deploy.Deployment(workspace, where.endpoint, env=arguments.cloud, bundle=bundle).run(issuer.token())
        stack.save(workspace)
    with _step("sample: assets with two years of synthetic bars"):
        _load_sample(stack)
    with _step("example: a drifted portfolio"):
        outcome = demo.run(Client(stack.api_url, stack.token))
    _show(stack, outcome)


def down(_: argparse.Namespace) -> None:
    """Stops the local AWS and forgets what was in it. A LocalStack is left to whoever runs it."""
    workspace = Workspace()
    stopped = cloud.stop(workspace)
    workspace.stack_file.unlink(missing_ok=True)
    shutil.rmtree(workspace.cloud_files, ignore_errors=True)
    _console.print("stopped" if stopped else "no local AWS was running")


def token(arguments: argparse.Namespace) -> None:
    """Prints a token and nothing else, so that a shell can take it."""
    scopes = arguments.scopes.replace(",", " ").split() if arguments.scopes else SCOPES
    print(Issuer(Workspace().issuer_key).token(tenant=arguments.tenant, user_id=arguments.user_id, scopes=scopes))


def follow_logs(_: argparse.Namespace) -> None:
    """Follows the functions' logs."""
    logs.follow(deploy.read(Workspace()).endpoint_url)


def run_simulation(arguments: argparse.Namespace) -> None:
    """Moves prices and shows what the balancer made of it."""
    stack = deploy.read(Workspace())
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    _console.print(f"seed {seed}", markup=False)
    simulation = simulate.Simulation(Client(stack.api_url, stack.token), portfolios=arguments.portfolios, seed=seed)
    story = report.run(_console, simulation, portfolios=arguments.portfolios, changes=arguments.changes)
    report.show(_console, story)
    if not all(story.outside.values()):
        raise LocalError("a portfolio is out of its band and nothing says why: see `make logs`")


def run_backfill(arguments: argparse.Namespace) -> None:
    """Fills daily bars of many days."""
    try:
        wanted = Wanted(arguments.first, arguments.last, arguments.source, arguments.accept_jumps)
        backfill.run(_console, deploy.read(Workspace()), wanted)
    except BackfillFailed as error:
        raise LocalError(str(error)) from None


def _load_sample(stack: deploy.Stack) -> None:
    """The sample, and its newest day as a file, so that a night that is begun by hand finds one."""
    now = utc_now()
    if sample_data.load(client("dynamodb", stack.endpoint_url), stack.tables["market"], now) and stack.buckets:
        name, text = sample_data.newest_file(now)
        key = f"{FileBars().prefix}/{name}"
        client("s3", stack.endpoint_url).put_object(Bucket=stack.buckets["bars"], Key=key, Body=text.encode())


def rebuild_metrics(arguments: argparse.Namespace) -> None:
    """Compares a bettor's sums with the fold of all their orders, and puts them right where it is asked to."""
    if not arguments.user_id:
        raise LocalError("name the user: make rebuild USER_ID=45")
    stack = deploy.read(Workspace())
    dynamodb, table = client("dynamodb", stack.endpoint_url), stack.tables["betting"]
    try:
        rebuilt = rebuild.rebuild(dynamodb, table, arguments.tenant, arguments.user_id, repair=arguments.repair)
    except Conflict as refused:
        raise LocalError(refused.detail) from None
    print(rebuild.report(rebuilt))
    if not rebuilt.is_right and not arguments.repair:
        raise LocalError("what is kept is not the fold of the orders: REPAIR=1 writes the fold")


@contextmanager
def _step(title: str) -> Iterator[None]:
    started = time.monotonic()
    with _console.status(title):
        yield
    _console.print(f"[green]ok[/green]  {title} [dim]{time.monotonic() - started:.1f} s[/dim]")


def _show(stack: deploy.Stack, outcome: dict[str, Any]) -> None:
    _console.print(f"\nAPI    {stack.api_url}\nToken  {stack.token}", markup=False)
    _console.print("       tenant demo, all scopes, 12 h; make token mints others", markup=False)
    _console.print("Stack  .local/stack.json", markup=False)
    target, report = demo.PORTFOLIO["allocation"], demo.REPORT["new_allocation"]
    _console.print("\nPOST /portfolio  " + json.dumps(target), markup=False)
    _console.print("POST /rebalance  " + json.dumps(report), markup=False)
    _console.print(f"GET {outcome_path(outcome)}\n  {outcome['status']}", markup=False)
    for each in outcome["transactions"]:
        _console.print(f"  {each['action']:<4} {each['rebalance_percent']:>8} %  {each['asset']}", markup=False)


def outcome_path(outcome: dict[str, Any]) -> str:
    """Where a rebalance is read."""
    return f"/portfolios/{outcome['portfolio_id']}/rebalances/{outcome['rebalance_id']}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    commands = parser.add_subparsers(required=True)
    start = commands.add_parser("up", help="start, deploy, run the example")
    start.add_argument("--port", type=int, default=DEFAULT_PORT)
    start.add_argument("--cloud", choices=["local", "localstack"], default="local")
    start.add_argument("--endpoint", default=f"http://localhost:{DEFAULT_PORT}", help="of a running LocalStack")
    start.add_argument("--bundle", choices=["", "host", "container"], help="what runs the functions")
    start.set_defaults(run=up)
    commands.add_parser("down", help="stop the local AWS").set_defaults(run=down)
    mint = commands.add_parser("token", help="print a token")
    mint.add_argument("--tenant", default="demo")
    mint.add_argument("--user-id", default=None)
    mint.add_argument("--scopes", default="", help="separated by commas or spaces; all without it")
    mint.set_defaults(run=token)
    commands.add_parser("logs", help="follow the functions' logs").set_defaults(run=follow_logs)
    moves = commands.add_parser("simulate", help="move prices on the running system")
    moves.add_argument("--changes", type=_positive, default=200)
    moves.add_argument("--portfolios", type=_positive, default=20)
    moves.add_argument("--seed", type=int, default=None, help="makes the same portfolios and prices again")
    moves.set_defaults(run=run_simulation)
    fills = commands.add_parser("backfill", help="daily bars of many days")
    add_arguments(fills, "sample, massive, a directory, or s3://bucket/prefix", "sample")
    fills.set_defaults(run=run_backfill)
    fold = commands.add_parser("rebuild", help="compare a bettor's sums with the fold of their orders")
    fold.add_argument("--tenant", default="demo")
    fold.add_argument("--user-id", required=True)
    fold.add_argument("--repair", action="store_true", help="write the fold where it differs")
    fold.set_defaults(run=rebuild_metrics)
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main() -> int:
    """One line for what a person can put right; anything else is a bug and shows where."""
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

"""Commands that show the state of the platform: pending jobs and deliveries, circuits, feeds."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import click

from infra.operator.deployment import DeployedSystem, DeploymentOptions
from infra.operator.output import age, answer, exit_if, json_option, show
from trimtab.analytics.service.alert_evaluator import BARS_DUE_AFTER
from trimtab.kernel.clock import format_time, utc_now
from trimtab.market.adapters.assets import AssetStore
from trimtab.market.adapters.bars import BarStore
from trimtab.market.domain.ingested_days import sessions_up_to
from trimtab.portfolios.balancing.pending_job_store import PendingJobStore
from trimtab.portfolios.balancing.sweeper import MAX_PAGES_PER_SHARD, PAGE_SIZE, SHARDS
from trimtab.portfolios.ledger.imports import Import
from trimtab.portfolios.ledger.recalculation import Recalculation
from trimtab.portfolios.portfolio.pending_jobs import PendingJob
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.runtime.dynamodb.paging import query_range

EVERY_JOB = datetime(9999, 12, 31, tzinfo=UTC)
MAX_CIRCUITS = 100
QUOTE_IS_OLD = timedelta(days=4)
"""Longer than a weekend with a holiday: a symbol without a newer quote is listed as missing."""


@click.group()
def pending() -> None:
    """Work that waits for a worker or a receiver."""


@pending.command()
@click.option("--tenant", "tenant_id", help="Only jobs of this tenant.")
@json_option
@click.pass_obj
def jobs(options: DeploymentOptions, /, *, tenant_id: str | None, as_json: bool) -> None:
    """List rebalances, recalculations and imports that wait for a worker. Exit code 1 if one is overdue.

    The sweeper sends the message of an overdue job again every five minutes, up to three times. A job that is stuck
    afterwards is in `attention list`.
    """
    now = utc_now()
    waiting = [job for job in _read_jobs(options.open()) if tenant_id in {None, job.tenant_id}]
    rows = [
        {
            "kind": type(job).__name__.lower(),
            "tenant": job.tenant_id,
            "portfolio_id": job.portfolio_id,
            "job_id": _id_of(job),
            "waiting": age(now - job.waits_from),
            "resends": job.resends,
            "overdue": "yes" if job.is_overdue(now) else "no",
        }
        for job in waiting
    ]
    show(rows, as_json=as_json, empty="no job waits for a worker")
    exit_if(any(job.is_overdue(now) for job in waiting))


def _read_jobs(system: DeployedSystem) -> Iterator[PendingJob]:
    """Yield the pending jobs by shard, the longest waiting first, at most 1,000 of a shard."""
    store = PendingJobStore(system.aws("dynamodb"), system.stack.tables["portfolios"])
    for shard in SHARDS:
        position: Any = None
        for _ in range(MAX_PAGES_PER_SHARD):
            page = store.overdue(shard, EVERY_JOB, limit=PAGE_SIZE, after=position)
            yield from page.items
            position = page.next_position
            if position is None:
                break


def _id_of(job: PendingJob) -> str:
    match job:
        case Rebalance():
            return job.rebalance_id
        case Recalculation():
            return job.job_id
        case Import():
            return job.import_id
        case _:
            raise TypeError(f"unknown kind of job: {type(job).__name__}")


@pending.command()
@json_option
@click.pass_obj
def deliveries(options: DeploymentOptions, /, *, as_json: bool) -> None:
    """List webhooks of the token's tenant with their newest 100 deliveries. Exit code 1 if a delivery has failed."""
    api = options.open().api
    rows = []
    for webhook in answer(api.get("webhooks"))["items"]:
        newest = answer(api.get(f"webhooks/{webhook['webhook_id']}/deliveries?limit=100"))["items"]
        statuses = [delivery["status"] for delivery in newest]
        counts = {status: statuses.count(status.upper()) for status in ("pending", "failed")}
        rows.append({**{name: webhook[name] for name in ("webhook_id", "url", "status")}, **counts})
    show(rows, as_json=as_json, empty="no webhooks")
    exit_if(any(row["failed"] for row in rows))


@click.command()
@json_option
@click.pass_obj
def circuits(options: DeploymentOptions, /, *, as_json: bool) -> None:
    """List the circuit breakers of remote APIs, such as broker and market data. Exit code 1 if one is not closed."""
    system = options.open()
    client, tables = system.aws("dynamodb"), system.stack.tables
    found = [
        item
        for table in ("paper", "market")
        for item in query_range(client, tables[table], "CIRCUITS", (" ", "~"), limit=MAX_CIRCUITS).items
    ]
    rows = [
        {
            "circuit": item["sk"],
            "state": item["state"],
            "failures": int(item.get("failure_count", 0)),
            "opened_at": _time_of(item.get("opened_at")),
        }
        for item in found
    ]
    show(rows, as_json=as_json, empty="no circuit was ever opened")
    exit_if(any(row["state"] != "CLOSED" for row in rows))


def _time_of(seconds: Any) -> str | None:
    return None if seconds is None else format_time(datetime.fromtimestamp(int(seconds), UTC))


@click.command()
@json_option
@click.pass_obj
def feeds(options: DeploymentOptions, /, *, as_json: bool) -> None:
    """Show the last success of quotes and nightly bars. Exit code 1 if a feed is late.

    Quotes are late if an active asset has no quote of the last four days, bars if a due session is not complete.
    """
    system, now = options.open(), utc_now()
    client, table = system.aws("dynamodb"), system.stack.tables["market"]
    rows = [_quotes(client, table, now), _bars(client, table, now)]
    show(rows, as_json=as_json, empty="")
    exit_if(any(row["missing"] for row in rows))


def _quotes(client: Any, table: str, now: datetime) -> dict[str, Any]:
    symbols = [asset.symbol for asset in AssetStore(client, table).active_assets()]
    times = {symbol: quote.as_of for symbol, quote in BarStore(client, table).quotes_of(symbols).items() if quote.as_of}
    old = [symbol for symbol in symbols if symbol not in times or now - times[symbol] > QUOTE_IS_OLD]
    return _feed("quotes", max(times.values(), default=None), old)


def _bars(client: Any, table: str, now: datetime) -> dict[str, Any]:
    due = [day for day in sessions_up_to(now.date()) if datetime.combine(day, time(), UTC) + BARS_DUE_AFTER <= now]
    records = BarStore(client, table).ingested_days(due)
    last = max((record.updated_at for record in records.values()), default=None)
    missing = [day.isoformat() for day in due if day not in records or records[day].rejected]
    return _feed("bars", last, missing)


def _feed(name: str, last_success: datetime | None, missing: list[str]) -> dict[str, Any]:
    last = None if last_success is None else format_time(last_success)
    return {"feed": name, "last_success": last, "missing": len(missing), "first_missing": ", ".join(missing[:5])}

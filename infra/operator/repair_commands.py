"""Commands that compare stored sums with their sources, recompute them, and fill in missing bars."""

from datetime import datetime
from typing import Any

import click
from rich.console import Console

from infra.local.sample_data import SampleBars
from infra.operator import backfill as bar_backfill
from infra.operator.backfill import BackfillRequest
from infra.operator.deployment import DeployedSystem, DeploymentOptions
from infra.operator.output import exit_if, json_option, show
from trimtab.analytics.adapters.queues import AnalyticsQueues, AnalyticsQueueSettings
from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.service.rebuild import TotalsComparison, TotalsRebuild
from trimtab.kernel.clock import utc_now
from trimtab.kernel.strict_csv import DecimalMark
from trimtab.market.domain.providers import BarProvider
from trimtab.portfolios.ledger.rebuild import HoldingComparison, HoldingsRebuild
from trimtab.portfolios.ledger.store import LedgerStore

SAMPLE = "sample"
COMPARED = ("quantity", "cost_basis", "realised_profit", "trade_count")

_day = click.DateTime(["%Y-%m-%d"])
_tenant = click.option("--tenant", "tenant_id", required=True, help="The tenant.")
_user = click.option("--user-id", help="The bettor whose totals and positions are compared with the orders.")
_portfolio = click.option("--portfolio-id", help="The portfolio whose holdings are compared with the trades.")


@click.group()
def sums() -> None:
    """Stored sums: totals of bettors, holdings and daily values of portfolios."""


@sums.command()
@_tenant
@_user
@_portfolio
@json_option
@click.pass_obj
def compare(
    options: DeploymentOptions,
    /,
    *,
    tenant_id: str,
    user_id: str | None,
    portfolio_id: str | None,
    as_json: bool,
) -> None:
    """Compare stored sums with the sums recomputed from their source. Exit code 1 if one differs.

    A write at the same time can look like a difference: compare again.
    """
    rows = _compare(options.open(), tenant_id, user_id, portfolio_id, repair=False)
    show(rows, as_json=as_json, empty="nothing to compare")
    exit_if(any(row["differs"] == "yes" for row in rows))


@sums.command()
@_tenant
@_user
@_portfolio
@json_option
@click.pass_obj
def rebuild(
    options: DeploymentOptions,
    /,
    *,
    tenant_id: str,
    user_id: str | None,
    portfolio_id: str | None,
    as_json: bool,
) -> None:
    """Store recomputed sums where they differ, unless the source is changed at the same time."""
    rows = _compare(options.open(), tenant_id, user_id, portfolio_id, repair=True)
    show([row for row in rows if row["differs"] == "yes"], as_json=as_json, empty="nothing differs")


@sums.command()
@_tenant
@click.option("--portfolio-id", required=True, help="The portfolio.")
@click.option("--since", type=_day, required=True, help="The first day whose value is computed again.")
@click.pass_obj
def revalue(options: DeploymentOptions, /, *, tenant_id: str, portfolio_id: str, since: datetime) -> None:
    """Request that the daily values of a portfolio are computed again; a worker does it."""
    system = options.open()
    settings = AnalyticsQueueSettings(valuations_queue_url=system.stack.queues["valuations"])
    AnalyticsQueues(system.aws("sqs"), settings).request_valuations([(tenant_id, portfolio_id)], since.date())
    click.echo(f"requested: the values of {portfolio_id} since {since:%Y-%m-%d}")


def _compare(
    system: DeployedSystem, tenant_id: str, user_id: str | None, portfolio_id: str | None, *, repair: bool
) -> list[dict[str, Any]]:
    tables, client = system.stack.tables, system.aws("dynamodb")
    if user_id and not portfolio_id:
        totals = TotalsRebuild(BettingStore(client, tables["betting"]))
        return _totals_rows(totals.run(tenant_id, user_id, repair=repair))
    if portfolio_id and not user_id:
        ledger = LedgerStore(client, tables["portfolios"], tables["market"])
        comparisons = HoldingsRebuild(ledger, utc_now).run(tenant_id, portfolio_id, repair=repair)
        return [row for comparison in comparisons for row in _holding_rows(comparison)]
    raise click.UsageError("Name either --user-id or --portfolio-id.")


def _totals_rows(comparison: TotalsComparison) -> list[dict[str, Any]]:
    names = comparison.stored.__struct_fields__
    rows = [_row(name, getattr(comparison.stored, name), getattr(comparison.recomputed, name)) for name in names]
    return rows + [
        {"sum": f"position in {market_id}", "stored": None, "recomputed": None, "differs": "yes"}
        for market_id in comparison.wrong_positions
    ]


def _holding_rows(comparison: HoldingComparison) -> list[dict[str, Any]]:
    stored, recomputed = comparison.stored, comparison.recomputed
    rows = [_row(f"{stored.symbol} {name}", getattr(stored, name), getattr(recomputed, name)) for name in COMPARED]
    if not comparison.is_consistent and all(row["differs"] == "no" for row in rows):
        rows.append(_row(f"{stored.symbol} last trade and split", stored, recomputed))
    return rows


def _row(name: str, stored: Any, recomputed: Any) -> dict[str, Any]:
    differs = "no" if stored == recomputed else "yes"
    return {"sum": name, "stored": str(stored), "recomputed": str(recomputed), "differs": differs}


@click.group()
def bars() -> None:
    """Daily bars."""


@bars.command()
@click.option("--from", "first", type=_day, required=True, help="The first day, such as 2024-01-02.")
@click.option("--to", "last", type=_day, required=True, help="The last day.")
@click.option("--source", required=True, help="massive, a directory, s3://bucket/prefix, or sample with --local.")
@click.option("--secret", default="", help="The secret with the key of Massive. Default: MASSIVE_API_KEY.")
@click.option("--accept-jumps", is_flag=True, help="Store closes that jump without a split.")
@click.option("--replace", is_flag=True, help="Correct the bars of complete days by the source.")
@click.option("--decimal", type=click.Choice(DecimalMark, case_sensitive=False), help="The decimal mark of files.")
@click.pass_obj
def backfill(
    options: DeploymentOptions, /, *, first: datetime, last: datetime, source: str, secret: str, **treatment: Any
) -> None:
    """Store the daily bars of past days. Complete days are skipped, so that a backfill can be repeated."""
    request = BackfillRequest(first.date(), last.date(), source, **treatment)
    system = options.open()
    table = system.stack.tables["market"]
    if source == SAMPLE:
        if not system.stack.endpoint_url:
            raise click.UsageError("The sample is synthetic: it is for a local stack only.")
        provider: BarProvider = SampleBars(request.last)
    else:
        provider = bar_backfill.provider_of(source, table, secret, request.decimal)
    bar_backfill.run(Console(highlight=False, soft_wrap=True), table, provider, request)

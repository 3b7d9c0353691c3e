"""`make backfill`: daily bars of many days, from the sample, from files or from Massive, into the running stack."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra.local.deploy import Stack
from infra.local.environment import LocalError
from infra.local.sample_data import SampleBars
from trimtab.kernel.clock import utc_now
from trimtab.market.adapters.assets import DynamoAssets
from trimtab.market.adapters.bars import DynamoBars
from trimtab.market.adapters.files import BarFiles, reader
from trimtab.market.adapters.massive import MANNERS, Key, Massive, parse_key
from trimtab.market.adapters.quotes import DynamoMarket
from trimtab.market.domain.bars import MAX_JUMP_PERCENT
from trimtab.market.domain.ingested import sessions_between
from trimtab.market.service.ingestion import Ingestion, Outcome
from trimtab.market.service.ports import BarProvider, ProviderFailed
from trimtab.market.service.quotes import Market
from trimtab.runtime.dynamo import dynamodb
from trimtab.runtime.outbound import KeyRing, Outbound, circuits

MAX_LISTED = 20
BASE_URL = "https://api.massive.com"


@dataclass(frozen=True)
class Wanted:
    """Which days, from where, and whether a close that no split explains is taken all the same."""

    first: date
    last: date
    source: str = "sample"
    accept_jumps: bool = False


def run(console: Console, stack: Stack, wanted: Wanted) -> None:
    """Fills the days under a progress bar and prints what came of it. Days that are there are skipped, so that it can
    be run again after any interruption."""
    os.environ["AWS_ENDPOINT_URL"] = stack.endpoint_url  # the clients that are made from here on go to the local cloud
    days = sessions_between(wanted.first, wanted.last)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    outcomes: list[Outcome] = []
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("sessions", total=len(days))
        for outcome in _outcomes(_ingestion(stack, wanted), wanted):
            outcomes.append(outcome)
            progress.advance(task)
    show(console, outcomes)


def _outcomes(ingestion: Ingestion, wanted: Wanted) -> Iterator[Outcome]:
    try:
        yield from ingestion.backfill(wanted.first, wanted.last)
    except ProviderFailed as error:
        raise LocalError(f"{error}: what came before it is stored; the same command goes on from there") from None


def show(console: Console, outcomes: list[Outcome]) -> None:
    """Prints what became of the days, and the first things that were wrong."""
    done = [it for it in outcomes if not it.skipped]
    faults = [(it.mark.day, fault) for it in done for fault in it.faults]
    console.print(
        f"{len(done)} sessions filled, {len(outcomes) - len(done)} were there; "
        f"{sum(it.mark.stored for it in done)} bars stand, {len(faults)} were missing or wrong"
    )
    for day, fault in faults[:MAX_LISTED]:
        console.print(f"  {day.isoformat()}  {fault.symbol}: {fault.text}", markup=False)
    if len(faults) > MAX_LISTED:
        console.print(f"  and {len(faults) - MAX_LISTED} more")


def _ingestion(stack: Stack, wanted: Wanted) -> Ingestion:
    client, table = dynamodb(), stack.tables["market"]
    most: Decimal | None = None if wanted.accept_jumps else MAX_JUMP_PERCENT
    market = Market(DynamoMarket(client, table), utc_now)
    provider = _provider(wanted, table)
    return Ingestion(provider, DynamoAssets(client, table), DynamoBars(client, table), market, utc_now, most)


def _provider(wanted: Wanted, table: str) -> BarProvider:
    """`sample`, `massive` (its key is in MASSIVE_API_KEY), or files in that directory or below that s3:// address."""
    if wanted.source == "sample":
        return SampleBars(wanted.last)
    if wanted.source != "massive":
        return BarFiles(reader(wanted.source))
    key = os.environ.get("MASSIVE_API_KEY")
    if not key:
        raise LocalError("MASSIVE_API_KEY must hold the key of Massive")
    ring: KeyRing[Key] = KeyRing(lambda: f'{{"api_key": "{key}"}}', parse_key)
    store = circuits(dynamodb(), table)
    http = Outbound(os.environ.get("MASSIVE_BASE_URL", BASE_URL), ring, store, circuit="massive", manners=MANNERS)
    return Massive(http, int(os.environ.get("MASSIVE_CALLS_PER_MINUTE", "5")))

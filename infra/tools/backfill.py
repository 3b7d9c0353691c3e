"""Store the daily bars of many days, from files or from Massive.

    python -m infra.tools.backfill --table NAME --from 2024-01-02 --to 2026-11-20 --source massive|DIRECTORY|s3://…

The command uses the AWS credentials of the environment; `make backfill` runs the same on the local cloud.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trimtab.kernel.clock import utc_now
from trimtab.market.adapters.assets import DynamoAssets
from trimtab.market.adapters.bars import DynamoBars
from trimtab.market.adapters.files import BarFiles, reader
from trimtab.market.adapters.massive import Key, connect, parse_key
from trimtab.market.adapters.quotes import DynamoMarket
from trimtab.market.domain.bars import MAX_JUMP_PERCENT
from trimtab.market.domain.ingested import sessions_between
from trimtab.market.service.ingestion import Ingestion, Outcome
from trimtab.market.service.ports import BarProvider, ProviderFailed
from trimtab.market.service.quotes import Market
from trimtab.runtime.dynamo import dynamodb
from trimtab.runtime.outbound import KeyRing, circuits, secret

MAX_LISTED = 20
BASE_URL = "https://api.massive.com"


class BackfillFailed(Exception):
    """Something a person can put right; it is shown as one line."""


@dataclass(frozen=True)
class Wanted:
    """Which days, from where, and whether a close that no split explains is taken all the same."""

    first: date
    last: date
    source: str
    accept_jumps: bool = False

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise BackfillFailed("the first day must not be after the last one")


def run(console: Console, table: str, provider: BarProvider, wanted: Wanted) -> None:
    """Fills the days under a progress bar and prints what came of it. Days that are complete are skipped, so that it
    can be run again after any interruption."""
    days = sessions_between(wanted.first, wanted.last)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    outcomes: list[Outcome] = []
    ingestion = _ingestion(table, provider, wanted)
    with (
        Progress(*columns, console=console) as progress,
        closing(ingestion.backfill(wanted.first, wanted.last)) as filling,
    ):
        task = progress.add_task("sessions", total=len(days))
        try:
            for outcome in filling:
                outcomes.append(outcome)
                progress.advance(task)
        except ProviderFailed as error:
            text = f"{error}: what came before it is stored; the same command goes on from there"
            raise BackfillFailed(text) from None
    show(console, outcomes)


def show(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Prints what became of the days, and the first things that were wrong."""
    done = [it for it in outcomes if not it.skipped]
    faults = [(it.mark.day, fault) for it in done for fault in it.faults]
    console.print(
        f"{len(done)} sessions filled, {len(outcomes) - len(done)} were there; "
        f"{sum(it.mark.stored for it in done)} bars stand, {sum(it.mark.wrong for it in done)} were missing or wrong"
    )
    for day, fault in faults[:MAX_LISTED]:
        stored = " (stored all the same)" if fault.is_stored else ""
        console.print(f"  {day.isoformat()}  {fault.symbol}: {fault.text}{stored}", markup=False)
    if len(faults) > MAX_LISTED:
        console.print(f"  and {len(faults) - MAX_LISTED} more")


def _ingestion(table: str, provider: BarProvider, wanted: Wanted) -> Ingestion:
    client = dynamodb()
    most: Decimal | None = None if wanted.accept_jumps else MAX_JUMP_PERCENT
    market = Market(DynamoMarket(client, table), utc_now)
    return Ingestion(provider, DynamoAssets(client, table), DynamoBars(client, table), market, utc_now, most)


def provider_of(source: str, table: str, secret_id: str = "") -> BarProvider:
    """`massive`, or files in that directory or below that s3:// address.

    The key of Massive is in MASSIVE_API_KEY, or in that secret of Secrets Manager, as the night reads it.
    """
    if source != "massive":
        return BarFiles(reader(source))
    key = os.environ.get("MASSIVE_API_KEY")
    if not key and not secret_id:
        raise BackfillFailed("MASSIVE_API_KEY must hold the key of Massive")
    ring: KeyRing[Key] = KeyRing(lambda: f'{{"api_key": "{key}"}}' if key else secret(secret_id), parse_key)
    pace = int(os.environ.get("MASSIVE_CALLS_PER_MINUTE", "5"))
    url = os.environ.get("MASSIVE_BASE_URL", BASE_URL)
    return connect(url, ring, circuits(dynamodb(), table), circuit="massive", calls_per_minute=pace)


def add_arguments(parser: argparse.ArgumentParser, sources: str, source: str | None = None) -> None:
    """What a backfill is told; without a `source` beforehand it has to be given."""
    parser.add_argument("--from", dest="first", type=date.fromisoformat, required=True, help="2024-01-02")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, required=True)
    parser.add_argument("--source", required=source is None, default=source, help=sources)
    parser.add_argument("--accept-jumps", action="store_true", help="take closes that no split explains")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where all days are filled, 1 where somebody has to do something first."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.backfill", description=__doc__)
    parser.add_argument("--table", required=True, help="the name of the table of the market")
    parser.add_argument("--secret", default="", help="the secret with the key of Massive, else MASSIVE_API_KEY has it")
    add_arguments(parser, "massive, a directory, or s3://bucket/prefix")
    given = parser.parse_args(arguments)
    try:
        wanted = Wanted(given.first, given.last, given.source, given.accept_jumps)
        provider = provider_of(given.source, given.table, given.secret)
        run(Console(highlight=False, soft_wrap=True), given.table, provider, wanted)
    except BackfillFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Store the daily bars of many days, from files or from Massive, under a progress bar."""

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trimtab.contracts.quotes import AcceptedPrice
from trimtab.kernel.clock import utc_now
from trimtab.kernel.strict_csv import DecimalMark
from trimtab.market.adapters.assets import AssetStore
from trimtab.market.adapters.bars import BarStore
from trimtab.market.adapters.files import BarFiles, file_reader
from trimtab.market.adapters.massive import MassiveKey, connect, parse_key
from trimtab.market.adapters.quotes import QuoteStore
from trimtab.market.domain.ingested_days import sessions_between
from trimtab.market.domain.providers import BarProvider, ProviderFailed
from trimtab.market.service.ingestion import Ingestion, IngestionResult
from trimtab.market.service.price_operations import PriceOperations
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http_client import CredentialCache, circuit_store
from trimtab.runtime.secrets import read_secret

MAX_LISTED = 20
BASE_URL = "https://api.massive.com"


class BackfillFailed(Exception):
    """Raised for errors to be corrected by the user; the command prints the message in a line."""


@dataclass(frozen=True)
class BackfillRequest:
    """The days to fill, the source of the bars, and the treatment of jumps and of complete days.

    `accept_jumps` stores closes that change by more than the limit without a split. `replace` ingests complete days
    again, so that the source corrects stored bars. `decimal` is the decimal mark of files, by default a point.
    """

    first: date
    last: date
    source: str
    accept_jumps: bool = False
    replace: bool = False
    decimal: DecimalMark | None = None

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise BackfillFailed("--from must not be after --to")


def run(console: Console, table: str, provider: BarProvider, request: BackfillRequest) -> None:
    """Fill the days under a progress bar and print a summary.

    Complete days are skipped, unless the request replaces them, so a backfill can be repeated after any interruption.
    Raises BackfillFailed if the provider fails.
    """
    days = sessions_between(request.first, request.last)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    outcomes: list[IngestionResult] = []
    ingestion = _ingestion(table, provider, request)
    with (
        Progress(*columns, console=console) as progress,
        closing(ingestion.backfill(request.first, request.last, replace=request.replace)) as backfilled,
    ):
        task = progress.add_task("sessions", total=len(days))
        try:
            for outcome in backfilled:
                outcomes.append(outcome)
                progress.advance(task)
        except ProviderFailed as error:
            text = f"{error}: earlier days are stored; repeat the command to continue"
            raise BackfillFailed(text) from None
    show(console, outcomes)


def show(console: Console, outcomes: Sequence[IngestionResult]) -> None:
    """Print how many days and bars were stored, and the first faults."""
    done = [outcome for outcome in outcomes if not outcome.skipped]
    faults = [(outcome.record.day, fault) for outcome in done for fault in outcome.faults]
    stored, rejected = sum(outcome.record.stored for outcome in done), sum(outcome.record.rejected for outcome in done)
    console.print(
        f"{len(done)} sessions filled, {len(outcomes) - len(done)} already complete; "
        f"{stored} bars stored, {rejected} missing or rejected"
    )
    corrected = sum(outcome.record.changed for outcome in done)
    if corrected:
        console.print(f"{corrected} of these bars are corrections by the source")
    for day, fault in faults[:MAX_LISTED]:
        note = " (stored)" if fault.is_stored else ""
        console.print(f"  {day.isoformat()}  {fault.symbol}: {fault.text}{note}", markup=False)
    if len(faults) > MAX_LISTED:
        console.print(f"  and {len(faults) - MAX_LISTED} more")


def _ingestion(table: str, provider: BarProvider, request: BackfillRequest) -> Ingestion:
    client = dynamodb_client()
    bars = BarStore(client, table)
    operations = PriceOperations(QuoteStore(client, table), bars, _submit_nothing, utc_now)
    assets = AssetStore(client, table).active_assets
    return Ingestion(
        provider,
        assets,
        bars,
        operations.enter_provided_split,
        _submit_nothing,
        utc_now,
        accept_jumps=request.accept_jumps,
    )


def _submit_nothing(symbol: str, price: AcceptedPrice) -> None:
    """Leave a held price to the next quote or the next night: a backfill needs no queue."""


def provider_of(source: str, table: str, secret_id: str = "", decimal: DecimalMark | None = None) -> BarProvider:
    """Return the provider for a source: `massive`, or a directory or an s3:// prefix of files with this decimal mark.

    The key of Massive is the value of MASSIVE_API_KEY or of the secret, which has the same form as for the nightly
    ingestion. Raises BackfillFailed without a key.
    """
    if source != "massive":
        return BarFiles(file_reader(source), decimal=decimal)
    key = os.environ.get("MASSIVE_API_KEY")
    if not key and not secret_id:
        raise BackfillFailed("set MASSIVE_API_KEY to the key of Massive")
    ring: CredentialCache[MassiveKey] = CredentialCache(
        lambda: f'{{"api_key": "{key}"}}' if key else read_secret(secret_id), parse_key
    )
    pace = int(os.environ.get("MASSIVE_CALLS_PER_MINUTE", "5"))
    url = os.environ.get("MASSIVE_BASE_URL", BASE_URL)
    return connect(url, ring, circuit_store(dynamodb_client(), table), circuit="massive", calls_per_minute=pace)

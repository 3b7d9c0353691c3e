"""`make backfill`: run `infra.tools.backfill` on the running stack, with the sample as an additional source."""

import os

from rich.console import Console

from infra.local.deploy import Stack
from infra.local.sample_data import SampleBars
from infra.tools import backfill
from infra.tools.backfill import BackfillRequest


def run(console: Console, stack: Stack, wanted: BackfillRequest) -> None:
    """Ingest the daily bars of the wanted days; see `infra.tools.backfill.run`."""
    os.environ["AWS_ENDPOINT_URL"] = stack.endpoint_url  # clients created from here on call the local cloud
    table = stack.tables["market"]
    sample = wanted.source == "sample"
    provider = SampleBars(wanted.last) if sample else backfill.provider_of(wanted.source, table, decimal=wanted.decimal)
    backfill.run(console, table, provider, wanted)

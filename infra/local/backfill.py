"""`make backfill`: `infra.tools.backfill` into the running stack, which knows one source more, the sample."""

import os

from rich.console import Console

from infra.local.deploy import Stack
from infra.local.sample_data import SampleBars
from infra.tools import backfill
from infra.tools.backfill import Wanted


def run(console: Console, stack: Stack, wanted: Wanted) -> None:
    """See `infra.tools.backfill.run`."""
    os.environ["AWS_ENDPOINT_URL"] = stack.endpoint_url  # the clients that are made from here on go to the local cloud
    table = stack.tables["market"]
    sample = wanted.source == "sample"
    provider = SampleBars(wanted.last) if sample else backfill.provider_of(wanted.source, table)
    backfill.run(console, table, provider, wanted)

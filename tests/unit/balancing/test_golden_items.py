"""Golden items of balancing: the items of each release are read for ever, and this release writes them unchanged."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from trimtab.contracts.stored_form import FORM, UnknownForm
from trimtab.portfolios.balancing.check_store import LastCheck
from trimtab.portfolios.balancing.price_bounds import PriceBounds
from trimtab.portfolios.balancing.watch_store import BoundKey, PriceWatch
from trimtab.portfolios.rebalancing.model import Reason

GOLDEN = Path(__file__).parents[2] / "golden/balancing"
TIME = datetime(2026, 1, 2, 15, 30, 0, 123456, tzinfo=UTC)
SHARDS = 4
FACTS = {"drift": "1.25", "outside": 0, "prices": {"AAPL": "101.5"}, "skipped": [["AAPL", "SELL", "2.00", "no_use"]]}
LAST_CHECK = LastCheck(
    "demo",
    "11111111-2222-5333-8444-555555555555",
    "price",
    TIME,
    Reason("within_band", "Every weight is within its band.", FACTS),
)
WATCH = PriceWatch(
    tenant_id="demo",
    portfolio_id="11111111-2222-5333-8444-555555555555",
    symbol="AAPL",
    bounds=PriceBounds(Decimal("91.350000001"), Decimal("111.65")),
    seen=1234,
    epoch=17,
)
WATCHES = {"price_watch": WATCH, "price_watch_without_quote": replace(WATCH, seen=0)}


def stored(kind: str, form: int = 1) -> dict[str, Any]:
    """Return the golden item of a kind and form."""
    item: dict[str, Any] = json.loads((GOLDEN / f"{kind}.v{form}.json").read_text())
    return item


def test_the_golden_check_is_read_and_written_unchanged() -> None:
    written = {name: value for name, value in LAST_CHECK.to_item().items() if value is not None}
    assert (LastCheck.from_item(stored("last_check")), written) == (LAST_CHECK, stored("last_check"))


def test_unknown_attributes_and_members_of_a_check_are_ignored_and_unknown_forms_refused() -> None:
    newer = stored("last_check") | {"venue": "XNAS"}
    newer["reason"] = json.dumps({**json.loads(newer["reason"]), "severity": 3})
    assert LastCheck.from_item(newer) == LAST_CHECK
    with pytest.raises(UnknownForm):
        LastCheck.from_item(newer | {FORM: 2})


@pytest.mark.parametrize("kind", WATCHES)
def test_the_golden_watch_is_written_unchanged_and_its_sort_keys_are_read(kind: str) -> None:
    watch, item = WATCHES[kind], stored(kind, form=2)
    assert watch.to_item(SHARDS) == item
    assert item["sk"].rpartition("#")[::2] == (watch.tenant_id, watch.portfolio_id)
    keys = [BoundKey.from_text(item[name]) for name in ("lower_bound", "upper_bound")]
    bounds = (watch.bounds.lower, watch.bounds.upper)
    assert keys == [BoundKey(bound, watch.seen, watch.epoch) for bound in bounds]


@pytest.mark.parametrize("kind", WATCHES)
def test_every_quote_counts_as_newer_than_a_watch_of_form_1(kind: str) -> None:
    item = stored(kind)
    keys = [BoundKey.from_text(item[name]) for name in ("lower_bound", "upper_bound")]
    bounds = (WATCH.bounds.lower, WATCH.bounds.upper)
    assert keys == [BoundKey(bound, 0, WATCH.epoch) for bound in bounds]

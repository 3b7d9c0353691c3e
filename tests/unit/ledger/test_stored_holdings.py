"""The stored text of holdings: read back for ever, with added and unknown columns, and refused in an unknown form."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from trimtab.contracts.stored_form import UnknownForm
from trimtab.portfolios.portfolio import holdings_text
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType

GOLDEN = Path(__file__).parents[2] / "golden/ledger/holdings.v1.json"
HOLDINGS = [
    Holding(
        symbol="AAPL",
        security_type=SecurityType.STOCK,
        quantity=Decimal("6.5"),
        cost_basis=Decimal("600.00"),
        realised_profit=Decimal("-1.25"),
        last_trade=(datetime(2026, 1, 2, 15, 30, 0, 123456, tzinfo=UTC), "broker|4711"),
        trade_count=3,
        split_count=1,
        last_split_at=datetime(2026, 1, 2, tzinfo=UTC),
    ),
    Holding(
        symbol="VWCE.DE",
        security_type=SecurityType.ETF,
        quantity=Decimal(25),
        cost_basis=Decimal(2500),
        last_trade=(datetime(2026, 1, 1, tzinfo=UTC), "t1"),
        trade_count=1,
    ),
    Holding(symbol="BTC", security_type=SecurityType.CRYPTO),
]


def test_the_stored_text_of_this_release_is_read_and_written() -> None:
    text = GOLDEN.read_text().strip()
    assert holdings_text.unpack(text) == HOLDINGS
    assert holdings_text.pack(HOLDINGS) == text


def test_no_holdings_are_no_text() -> None:
    assert holdings_text.pack([]) is None
    assert holdings_text.unpack("") == []


def test_a_text_without_a_later_added_column_is_read_with_the_default() -> None:
    """An added column is like a column that an older text does not have."""
    table = json.loads(GOLDEN.read_text())
    position = table["columns"].index("realised_profit")
    columns = [name for name in table["columns"] if name != "realised_profit"]
    rows = [[*row[:position], *row[position + 1 :]] for row in table["rows"]]
    (first, *_) = holdings_text.unpack(json.dumps({"v": 1, "columns": columns, "rows": rows}))
    assert (first.realised_profit, first.trade_count, first.last_split_at) == (Decimal(0), 3, HOLDINGS[0].last_split_at)


def test_an_unknown_column_of_a_newer_release_is_ignored() -> None:
    table = json.loads(GOLDEN.read_text())
    columns = ["currency", *table["columns"]]
    newer = {"v": 1, "note": "new", "columns": columns, "rows": [["USD", *row] for row in table["rows"]]}
    assert holdings_text.unpack(json.dumps(newer)) == HOLDINGS


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(UnknownForm, match="holdings"):
        holdings_text.unpack('{"v":2,"columns":[],"rows":[]}')

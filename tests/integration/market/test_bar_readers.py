"""Bars and assets as other contexts read them."""

from datetime import date
from decimal import Decimal

from tests.support.analytics import store_bars
from tests.support.assets import accept_every_price
from tests.support.moto_state import stored_items
from tests.support.system import MARKET_TABLE, System
from trimtab.contracts.bars import Bar
from trimtab.market.adapters.bars import BarStore
from trimtab.market.domain.ingested_days import sessions_up_to
from trimtab.runtime.dynamodb.client import deserialize, dynamodb_client

LAST = date(2026, 11, 20)
DAYS = sessions_up_to(LAST)


def test_others_read_a_range_of_bars_assets_and_the_last_bar(system: System) -> None:
    accept_every_price("AAPL", "MSFT", "XOM")
    store_bars({symbol: dict.fromkeys(DAYS, Decimal(100)) for symbol in ("AAPL", "MSFT", "XOM")})
    reader = BarStore(dynamodb_client(), MARKET_TABLE)
    assert [bar.day for bar in reader.bars("AAPL", DAYS[2], DAYS[5])] == DAYS[2:6]
    assert reader.bars("AAPL", LAST, DAYS[0]) == []
    newest = reader.last_bar("AAPL", date(2027, 1, 1))
    assert newest is not None
    assert newest.day == LAST
    assert reader.last_bar("AAPL", date(2026, 1, 1)) is None
    assert reader.last_bar("NONE", LAST) is None
    assert set(reader.assets(["AAPL", "AAPL", "NONE", "XOM"])) == {"AAPL", "XOM"}
    assert reader.assets([]) == {}
    items = [item for item in stored_items(MARKET_TABLE) if item["sk"]["S"].startswith("BAR#")]
    assert Bar.from_item(deserialize(items[0])) in [
        bar for symbol in ("AAPL", "MSFT", "XOM") for bar in reader.bars(symbol, date.min, date.max)
    ]

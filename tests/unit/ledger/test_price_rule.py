"""One price rule: every reader shows the same prices and the same value of a portfolio."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tests.unit.samples import portfolio
from trimtab.analytics.schemas.snapshots import drifts_view, sectors_view
from trimtab.analytics.service.analysis import Analysis
from trimtab.contracts.assets import AssetRecord
from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import HeldPrice, HoldReason, Quote, Split
from trimtab.kernel.pages import Page
from trimtab.kernel.sessions import session_close
from trimtab.kernel.trading_days import on_or_before
from trimtab.portfolios.ledger.holding_views import holdings_view, profit_view
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.ledger.value_views import valued_portfolio_view
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.rebalancing.snapshot import take_snapshot

NOW = datetime(2026, 11, 24, 16, 20, tzinfo=UTC)  # a Tuesday, in the session of New York
LAST_DAY = on_or_before(NOW.date() - timedelta(days=1))
HELD = HeldPrice(Decimal(99_999), NOW, "feed", HoldReason.PRICE_JUMP, Decimal(10), Decimal(900), NOW)


class MarketData(Struct, frozen=True):
    """Quotes and bars in memory, read like the tables; `asked` collects the symbols whose bars were read."""

    known: Mapping[str, Quote]
    bars: Mapping[str, Sequence[Bar]]
    listed: Mapping[str, AssetRecord]
    asked: list[str]

    def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        return {symbol: self.known[symbol] for symbol in symbols if symbol in self.known}

    def closes(self, symbols: Sequence[str], day: date) -> dict[str, Bar]:
        self.asked.extend(symbols)
        found = {symbol: [bar for bar in self.bars.get(symbol, ()) if bar.day <= day] for symbol in symbols}
        return {symbol: max(bars, key=lambda bar: bar.day) for symbol, bars in found.items() if bars}

    def assets(self, symbols: Sequence[str]) -> dict[str, AssetRecord]:
        return {symbol: self.listed[symbol] for symbol in symbols if symbol in self.listed}

    def trades_of(self, *_: str) -> list[Any]:
        return []

    def cash_entries(self, *_: str | None, **__: Any) -> Page[Any]:
        return Page([])


def bar(symbol: str, day: date, close: Decimal) -> Bar:
    """Return a bar with this close."""
    return Bar(symbol, day, close, close, close, close, Decimal(1), None, None, None, "bars", 1)


def asset(symbol: str, exchange: str) -> AssetRecord:
    """Return an asset of this exchange."""
    return AssetRecord(symbol, symbol, "stock", None, "USD", exchange, active=True)


amounts = st.decimals("0.01", 5_000, places=2)
ages = st.timedeltas(timedelta(), timedelta(days=9))
splits = st.lists(
    st.builds(
        Split,
        effective_at=ages.map(lambda age: NOW + timedelta(days=1) - age),
        new=st.sampled_from([Decimal(4), Decimal(1)]),
        old=st.sampled_from([Decimal(1), Decimal(10)]),
    ),
    max_size=2,
    unique_by=lambda split: split.effective_at,
).map(lambda found: tuple(sorted(found, key=lambda split: split.effective_at)))


@st.composite
def markets(draw: st.DrawFn) -> tuple[Portfolio, MarketData]:
    """Portfolios, and quotes, closes and splits of any age for some of their symbols."""
    quantities = draw(st.dictionaries(st.sampled_from("ABCDE"), st.decimals(0, 900, places=3), min_size=1))
    known, bars = {}, {}
    for symbol in quantities:
        if draw(st.booleans()):
            price, age, held = draw(amounts), draw(ages), draw(st.sampled_from([None, HELD]))
            known[symbol] = Quote(symbol, price, NOW - age, "feed", draw(splits), held=held)
        days = draw(st.sets(st.integers(1, 9), max_size=3))
        bars[symbol] = [bar(symbol, NOW.date() - timedelta(days=day), draw(amounts)) for day in sorted(days)]
    holdings = {
        symbol: Holding(symbol, SecurityType.STOCK, quantity, draw(amounts)) for symbol, quantity in quantities.items()
    }
    cash = draw(st.none() | amounts)
    exchanges = draw(st.dictionaries(st.sampled_from("ABCDE"), st.sampled_from(["XNAS", "CRYPTO"])))
    listed = {symbol: asset(symbol, exchange) for symbol, exchange in exchanges.items()}
    market = MarketData(known, bars, listed, [])
    return portfolio(holdings=holdings, cash=cash, allocation={"A": Decimal(100)}), market


def expected_price(market: MarketData, symbol: str) -> Decimal | None:
    """Return the price of one present unit, computed from all quotes and closes of the past."""
    quote = market.known.get(symbol)
    exchange = market.listed[symbol].exchange if symbol in market.listed else None
    closes = [
        (session_close(exchange, found.day), found.close)
        for found in market.bars.get(symbol, ())
        if found.day <= LAST_DAY
    ]
    prices = ([(quote.as_of, quote.price)] if quote and quote.as_of and quote.price else []) + closes
    if not prices:
        return None
    at, price = max(prices, key=lambda dated: dated[0])
    for split in quote.splits if quote else ():
        if at < split.effective_at <= NOW:
            price = price * split.old / split.new
    return price


@given(markets())
def test_every_reader_shows_the_same_prices_and_the_same_value(case: tuple[Portfolio, MarketData]) -> None:
    owner, market = case
    reader = HoldingsReader(cast(LedgerStore, market), lambda: NOW)
    holdings = reader.read_holdings(owner)
    rows = {row["symbol"]: row for row in holdings_view(owner, holdings)["items"] if Decimal(row["quantity"])}
    for symbol, row in rows.items():
        price = expected_price(market, symbol)
        assert row["price"] == (None if price is None else f"{price:.9f}")
    snapshot, profit = take_snapshot(owner, reader), profit_view(reader.read_profit(owner), owner.currency)
    drifts = drifts_view(snapshot)
    known_assets = mock.Mock(assets=lambda _: {})
    sectors = sectors_view(
        Analysis(*(cast(Any, None),) * 2, known_assets, cast(Any, None), lambda: NOW).sectors(snapshot)
    )
    priced = {symbol: row for symbol, row in rows.items() if row["market_value"] is not None}
    value = sum((Decimal(row["market_value"]) for row in priced.values()), owner.cash or Decimal(0))
    assert drifts["value"] == sectors["value"] == f"{value:.2f}"
    assert {symbol: f"{price.value:.9f}" for symbol, price in snapshot.prices.items()} == {
        symbol: row["price"] for symbol, row in priced.items()
    }
    unpriced = sorted(rows.keys() - priced.keys())
    assert drifts["unpriced"] == sectors["unpriced"] == profit["unpriced"] == unpriced
    cost = sum((Decimal(row["cost_basis"]) for row in priced.values()), owner.cash or Decimal(0))
    assert Decimal(profit["unrealised"]) == value - cost
    valuation = valued_portfolio_view(owner, reader.read_value(owner)).get("valuation")
    if rows:
        assert valuation == {"value": f"{value:.2f}", "as_of": drifts["as_of"], "unpriced": unpriced}
    else:
        assert valuation is None


@given(markets())
def test_bars_are_read_only_for_held_symbols_without_a_quote_since_the_last_trading_day(
    case: tuple[Portfolio, MarketData],
) -> None:
    owner, market = case
    HoldingsReader(cast(LedgerStore, market), lambda: NOW).read_holdings(owner)
    for symbol in market.asked:
        quote = market.known.get(symbol)
        assert owner.holdings[symbol].quantity
        assert quote is None or quote.as_of is None or quote.as_of.date() <= LAST_DAY


def test_a_quote_after_the_session_is_newer_than_the_close_of_the_session() -> None:
    """The close of Monday is at 21:00 UTC on XNAS, and a crypto asset closes its day at midnight."""
    quotes = {"A": Quote("A", Decimal(104), datetime(2026, 11, 23, 22, tzinfo=UTC), "feed")}
    bars, holding = (
        {"A": [bar("A", LAST_DAY, Decimal(100))]},
        Holding("A", SecurityType.STOCK, Decimal(10), Decimal(900)),
    )
    owner = portfolio(holdings={"A": holding}, allocation={"A": Decimal(100)})
    for exchange, value in (("XNAS", "1040.00"), ("CRYPTO", "1000.00")):
        market = MarketData(quotes, bars, {"A": asset("A", exchange)}, [])
        (held,) = HoldingsReader(cast(LedgerStore, market), lambda: NOW).read_holdings(owner)
        assert held.market_value == Decimal(value)

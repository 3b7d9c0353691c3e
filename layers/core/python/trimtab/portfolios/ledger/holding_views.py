"""Responses of the routes for holdings and profit."""

from datetime import date, datetime

from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import ZERO
from trimtab.portfolios.ledger.holdings_reader import PortfolioProfit, PricedHolding
from trimtab.portfolios.ledger.views import Answer, money_text, price_text, units_text
from trimtab.portfolios.portfolio.holdings import SecurityType
from trimtab.portfolios.portfolio.model import Portfolio


class HoldingView(Model):
    """A holding of one symbol at its newest price: the newer of quote and close, in present units.

    `price_as_of` is the time of the price and `price_source` the source of the quote or bar; `close_day` is set where
    the price is the close of a day. Price and `market_value` are null where the symbol has no price. `oversold` is the
    quantity by which the recorded sells exceed the holding: above zero where a split contradicts the sells. Correct the
    trades, or have the split amended or withdrawn; until then the portfolio is not rebalanced.
    """

    symbol: str
    security_type: SecurityType
    quantity: str
    average_cost: str | None
    cost_basis: str
    realised_profit: str
    price: str | None
    price_as_of: datetime | None
    price_source: str | None
    close_day: date | None
    market_value: str | None
    oversold: str
    updated_at: datetime | None


class HoldingList(Model):
    """Every symbol ever held, ordered by symbol, and the cash balance (null where cash is not tracked)."""

    items: list[HoldingView]
    cash: str | None
    next_cursor: None


class ProfitView(Model):
    """Profit since the first entry, in money; `return_value` is `total` under the name of the earlier API.

    `total` is `realised` plus `unrealised` plus `income` (dividends, interest) less `cash_fees` (fees, taxes); fees of
    trades are in `realised` and `unrealised`.

    `as_of` is the past day asked for (null: now, at the newest prices). `observations` is the number of holdings with
    a price; the `unpriced` symbols count as zero. `method` and `basis` name the computation and its prices.
    """

    realised: str
    unrealised: str
    income: str
    cash_fees: str
    total: str
    return_value: str
    unpriced: list[str]
    method: str
    basis: str
    as_of: date | None
    observations: int


class SummaryRow(Model):
    """A holding in the format of the earlier API."""

    ticker: str
    average_amount: str
    volume: str
    updated_at: datetime


class SummaryView(Model):
    """The present holdings in the format of the earlier API; always one page."""

    count: int
    next: None
    previous: None
    results: list[SummaryRow]


def holdings_view(portfolio: Portfolio, holdings: list[PricedHolding]) -> Answer:
    """Return a `HoldingList`."""
    cash = None if portfolio.cash is None else money_text(portfolio.cash)
    return {"items": [_holding_view(priced) for priced in holdings], "cash": cash, "next_cursor": None}


def _holding_view(priced: PricedHolding) -> Answer:
    holding, price = priced.holding, priced.price
    return {
        "symbol": holding.symbol,
        "security_type": holding.security_type.value,
        "quantity": units_text(holding.quantity),
        "average_cost": None if holding.average_cost is None else price_text(holding.average_cost),
        "cost_basis": money_text(holding.cost_basis),
        "realised_profit": money_text(holding.realised_profit),
        "price": price and price_text(price.value),
        "price_as_of": price and format_time(price.at),
        "price_source": price and price.source,
        "close_day": price and price.close_day and price.close_day.isoformat(),
        "market_value": None if priced.market_value is None else money_text(priced.market_value),
        "oversold": units_text(holding.oversold),
        "updated_at": format_time(holding.last_trade[0]) if holding.last_trade else None,
    }


def profit_view(profit: PortfolioProfit) -> Answer:
    """Return a `ProfitView`."""
    return {
        "realised": money_text(profit.realised),
        "unrealised": money_text(profit.unrealised),
        "income": money_text(profit.income),
        "cash_fees": money_text(profit.cash_fees),
        "total": money_text(profit.total),
        "return_value": money_text(profit.total),
        "unpriced": list(profit.unpriced),
        "method": "realised_profit_plus_value_less_average_cost_plus_income_less_cash_fees",
        "basis": "last_closes_split_adjusted" if profit.day else "newer_of_quote_and_last_close",
        "as_of": profit.day and profit.day.isoformat(),
        "observations": profit.priced,
    }


def summary_view(holdings: list[PricedHolding]) -> Answer:
    """Return a `SummaryView` of the holdings with a quantity."""
    held = [priced.holding for priced in holdings if priced.holding.quantity]
    rows = [
        {
            "ticker": holding.symbol,
            "average_amount": money_text(holding.average_cost or ZERO),
            "volume": units_text(holding.quantity),
            "updated_at": format_time(holding.last_trade[0]) if holding.last_trade else None,
        }
        for holding in held
    ]
    return {"count": len(rows), "next": None, "previous": None, "results": rows}

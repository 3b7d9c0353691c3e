"""Responses of the routes for holdings and profit."""

from datetime import date, datetime

from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
from trimtab.kernel.currencies import money_text, round_money
from trimtab.kernel.money import ZERO
from trimtab.portfolios.ledger.holdings_reader import PortfolioProfit, PricedHolding
from trimtab.portfolios.ledger.views import Answer, price_text, units_text
from trimtab.portfolios.portfolio.holdings import SecurityType
from trimtab.portfolios.portfolio.model import Portfolio


class HoldingView(Model):
    """A holding of one symbol at its newest price, in present units."""

    symbol: str
    security_type: SecurityType
    """The asset class of the symbol."""
    quantity: str
    """The number of units held, with at least 9 decimals, after all splits; for a bond quoted in percent, the nominal
    value. Example: `10.000000000`"""
    average_cost: str | None
    """The weighted-average cost of one unit in money, with 9 decimals, fees of buys included; null where nothing is
    held. Example: `150.100000000`"""
    cost_basis: str
    """The cost of the units held in money, fees of buys included. Example: `1501.00`"""
    realised_profit: str
    """The profit of all sells in money: proceeds after fees less the cost of the sold units. Example: `120.50`"""
    price: str | None
    """The newer of quote and last close of one unit in money, with 9 decimals; null where the symbol has no price.
    Example: `155.250000000`"""
    price_as_of: datetime | None
    """The time of the price (UTC); null without a price."""
    price_source: str | None
    """The source of the quote or the bar; null without a price. Example: `alpaca`"""
    close_day: date | None
    """The day whose close is the price; null where the price is a quote. Example: `2026-11-20`"""
    market_value: str | None
    """Quantity times price in money; null without a price. Example: `1552.50`"""
    oversold: str
    """The quantity by which the recorded sells exceed the holding, with at least 9 decimals. Above zero where a split
    contradicts the sells: correct the trades, or have the split amended or withdrawn; until then the portfolio is not
    rebalanced. Example: `0.000000000`"""
    updated_at: datetime | None
    """The execution of the newest trade of the symbol (UTC)."""


class HoldingList(Model):
    """The holdings of a portfolio and its cash."""

    items: list[HoldingView]
    """Every symbol that was ever held, ordered by symbol."""
    cash: str | None
    """The cash balance in money; null where cash is not tracked. Example: `1000.00`"""
    next_cursor: None
    """Always null: the list has one page."""


class ProfitView(Model):
    """The profit since the first entry."""

    realised: str
    """The profit of all sells in money, after fees. Example: `120.50`"""
    unrealised: str
    """The value of the holdings less their cost in money. Example: `51.50`"""
    income: str
    """Dividends and interest in money. Example: `12.30`"""
    cash_fees: str
    """Fees and taxes of cash entries in money, above zero; fees of trades are part of `realised` and `unrealised`.
    Example: `3.00`"""
    total: str
    """`realised` plus `unrealised` plus `income` less `cash_fees`, in money. Example: `181.30`"""
    return_value: str
    """`total` under the name of the earlier API. Example: `181.30`"""
    unpriced: list[str]
    method: str
    basis: str
    as_of: date | None
    """The past day that was asked for; null for now, at the newest prices. Example: `2026-11-20`"""
    observations: int
    """The number of holdings with a price. Example: `3`"""


class SummaryRow(Model):
    """A holding in the format of the earlier API."""

    ticker: str
    """The symbol. Example: `AAPL`"""
    average_amount: str
    """The weighted-average cost of one unit in money, with the decimals of the currency. Example: `150.10`"""
    volume: str
    """The number of units held, with at least 9 decimals. Example: `10.000000000`"""
    updated_at: datetime
    """The execution of the newest trade of the symbol (UTC)."""


class SummaryView(Model):
    """The present holdings in the format of the earlier API."""

    count: int
    """The number of holdings. Example: `2`"""
    next: None
    """Always null: the list has one page."""
    previous: None
    """Always null: the list has one page."""
    results: list[SummaryRow]
    """The holdings with a quantity above zero."""


def holdings_view(portfolio: Portfolio, holdings: list[PricedHolding]) -> Answer:
    """Return a `HoldingList`."""
    cash = None if portfolio.cash is None else money_text(portfolio.cash, portfolio.currency)
    return {
        "items": [_holding_view(priced, portfolio.currency) for priced in holdings],
        "cash": cash,
        "next_cursor": None,
    }


def _holding_view(priced: PricedHolding, currency: str) -> Answer:
    holding, price = priced.holding, priced.price
    return {
        "symbol": holding.symbol,
        "security_type": holding.security_type.value,
        "quantity": units_text(holding.quantity),
        "average_cost": None if holding.average_cost is None else price_text(holding.average_cost),
        "cost_basis": money_text(holding.cost_basis, currency),
        "realised_profit": money_text(holding.realised_profit, currency),
        "price": price and price_text(price.value),
        "price_as_of": price and format_time(price.at),
        "price_source": price and price.source,
        "close_day": price and price.close_day and price.close_day.isoformat(),
        "market_value": None if priced.market_value is None else money_text(priced.market_value, currency),
        "oversold": units_text(holding.oversold),
        "updated_at": format_time(holding.last_trade[0]) if holding.last_trade else None,
    }


def profit_view(profit: PortfolioProfit, currency: str) -> Answer:
    """Return a `ProfitView`."""
    return {
        "realised": money_text(profit.realised, currency),
        "unrealised": money_text(profit.unrealised, currency),
        "income": money_text(profit.income, currency),
        "cash_fees": money_text(profit.cash_fees, currency),
        "total": money_text(profit.total, currency),
        "return_value": money_text(profit.total, currency),
        "unpriced": list(profit.unpriced),
        "method": "realised_profit_plus_value_less_average_cost_plus_income_less_cash_fees",
        "basis": "last_closes_split_adjusted" if profit.day else "newer_of_quote_and_last_close",
        "as_of": profit.day and profit.day.isoformat(),
        "observations": profit.priced,
    }


def summary_view(holdings: list[PricedHolding], currency: str) -> Answer:
    """Return a `SummaryView` of the holdings with a quantity."""
    held = [priced.holding for priced in holdings if priced.holding.quantity]
    rows = [
        {
            "ticker": holding.symbol,
            "average_amount": money_text(round_money(holding.average_cost or ZERO, currency), currency),
            "volume": units_text(holding.quantity),
            "updated_at": format_time(holding.last_trade[0]) if holding.last_trade else None,
        }
        for holding in held
    ]
    return {"count": len(rows), "next": None, "previous": None, "results": rows}

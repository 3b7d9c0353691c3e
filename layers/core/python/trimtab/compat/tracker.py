"""Bodies and answers of the earlier portfolio tracker. An `amount` of a trade is the price of one share there."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from trimtab.compat.api import Problem, error_text, exact
from trimtab.compat.fields import AnyId, CompatBody
from trimtab.contracts.fields import Asset, FineQuantity, Name, StatedMoney
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import CONTEXT, MONEY_PLACES, STATED_PLACES, ZERO, count_decimals, to_money, to_places
from trimtab.portfolios.ledger.holdings_reader import PricedHolding
from trimtab.portfolios.ledger.new_entries import NewTrade
from trimtab.portfolios.ledger.trades import MAX_AMOUNT, Trade, gross_amount
from trimtab.portfolios.ledger.views import RefIdBody
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeStatus
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.portfolio.service import NewPortfolio
from trimtab.runtime.http.problems import PROBLEM_TYPE

CURRENCY = "USD"
_TRADE_TYPES = {Side.BUY: 1, Side.SELL: 2}


def _read_trade_type(value: Any) -> Side:
    for side, number in _TRADE_TYPES.items():
        if not isinstance(value, bool) and str(value) == str(number):
            return side
    raise ValueError("Use 1 for a purchase, 2 for a sale.")


TradeType = Annotated[Side, BeforeValidator(_read_trade_type)]
Volume = Annotated[FineQuantity, Field(gt=0)]
PricePerShare = Annotated[StatedMoney, Field(gt=0)]


class CreateTrackedPortfolio(CompatBody):
    """A portfolio without a target allocation."""

    user_id: AnyId
    name: Name

    def to_domain(self) -> NewPortfolio:
        """Return the request for the portfolio, with the defaults of a portfolio."""
        return NewPortfolio(self.user_id, self.name, CURRENCY, {}, Policy(), cash=None, cash_tracking=None)


class RenamePortfolio(CompatBody):
    """The name of a portfolio; without a name nothing changes."""

    name: Name | None = None


class CreateTrade(CompatBody):
    """A trade of a portfolio."""

    ref_id: RefIdBody
    user_id: AnyId
    portfolio: Annotated[AnyId, Field(validation_alias=AliasChoices("portfolio", "portfolio_id"))]
    trade_type: TradeType
    security_type: SecurityType
    ticker: Asset
    volume: Volume
    amount: PricePerShare
    status: TradeStatus = TradeStatus.SUCCESS

    def to_domain(self) -> NewTrade:
        """Return the trade with its total value."""
        return NewTrade(
            ref_id=self.ref_id,
            side=self.trade_type,
            security_type=self.security_type,
            symbol=self.ticker,
            quantity=self.volume,
            amount=total_amount(self.volume, self.amount),
            status=self.status,
        )


class ChangeTrade(CompatBody):
    """A correction of a trade; members that are left out keep their values."""

    portfolio: Annotated[AnyId | None, Field(validation_alias=AliasChoices("portfolio", "portfolio_id"))] = None
    user_id: AnyId | None = None
    trade_type: TradeType | None = None
    ticker: Asset | None = None
    volume: Volume | None = None
    amount: PricePerShare | None = None
    status: TradeStatus | None = None

    def changes(self, trade: Trade) -> dict[str, Any]:
        """Return the members to change, by name. Volume and total value change together, at the price per share."""
        given = {"side": self.trade_type, "symbol": self.ticker, "status": self.status}
        changes = {name: value for name, value in given.items() if value is not None}
        if self.volume is None and self.amount is None:
            return changes
        volume = self.volume or trade.quantity
        if self.amount is not None:
            return {**changes, "quantity": volume, "amount": total_amount(volume, self.amount)}
        return {**changes, "quantity": volume, "amount": _at_same_price(trade, volume)}


def total_amount(volume: Decimal, price: Decimal) -> Decimal:
    """Return the total value of a trade; raises `Invalid` for a value that no trade can have.

    >>> total_amount(Decimal(10), Decimal("100.00"))
    Decimal('1000.000000000')
    """
    total = gross_amount(volume, price)
    if not total or total > MAX_AMOUNT:
        detail = f"volume times amount is {total}; the limits are 0.000000001 and {MAX_AMOUNT}."
        raise Invalid(
            "invalid_request", "Validation failed; see `errors`.", errors=[{"field": "amount", "detail": detail}]
        )
    return total


def _at_same_price(trade: Trade, volume: Decimal) -> Decimal:
    """Return the total value of another volume; of a trade without units, the value stays."""
    if not trade.quantity:
        return trade.amount
    return to_places(CONTEXT.divide(CONTEXT.multiply(trade.amount, volume), trade.quantity), STATED_PLACES)


def portfolio_answer(portfolio: Portfolio) -> dict[str, Any]:
    """Return a portfolio."""
    return {
        "id": portfolio.portfolio_id,
        "user_id": portfolio.user_id,
        "name": portfolio.name,
        "created_at": format_time(portfolio.created_at),
        "updated_at": format_time(portfolio.updated_at),
    }


def trade_answer(trade: Trade) -> dict[str, Any]:
    """Return a trade; `amount` is the price of one share, null for a movement of cost without units."""
    return {
        "ref_id": trade.ref_id,
        "user_id": trade.user_id,
        "portfolio": trade.portfolio_id,
        "trade_type": _TRADE_TYPES[trade.side],
        "security_type": trade.security_type.value,
        "ticker": trade.symbol,
        "volume": exact(trade.quantity),
        "amount": None if trade.price is None else _price_text(trade.price),
        "status": trade.status.value,
        "created_at": format_time(trade.created_at),
        "updated_at": format_time(trade.updated_at),
    }


def _price_text(price: Decimal) -> str:
    return f"{price:.{max(MONEY_PLACES, count_decimals(price))}f}"


def summary_rows(holdings: Iterable[PricedHolding]) -> list[dict[str, Any]]:
    """Return the holdings with a quantity; `average_amount` is the average cost of one share with 2 decimals."""
    held = [priced.holding for priced in holdings if priced.holding.quantity]
    return [
        {
            "ticker": holding.symbol,
            "average_amount": f"{to_money(holding.average_cost or ZERO):.2f}",
            "volume": exact(holding.quantity),
            "updated_at": format_time(holding.last_trade[0]) if holding.last_trade else None,
        }
        for holding in held
    ]


def returns_answer(holdings: Iterable[PricedHolding]) -> dict[str, Any]:
    """Return the unrealised profit of the holdings in money, and the symbols without a price where there are any."""
    held = [priced for priced in holdings if priced.holding.quantity]
    unpriced = [priced.holding.symbol for priced in held if priced.price is None]
    profit = sum((priced.unrealised_profit or ZERO for priced in held), ZERO)
    return {"return_value": profit, **({"unpriced": unpriced} if unpriced else {})}


def error_form(problem: Problem) -> dict[str, Any]:
    """Return an error as the tracker wrote it: a code, a text, and the invalid fields by name."""
    fields = {error["field"]: error["detail"] for error in problem.get("errors", ())}
    code = str(problem["type"]).removeprefix(PROBLEM_TYPE)
    return {"data": {}, "error": {"error_code": code, "message": error_text(problem)["error"], "extra": fields}}

"""The bodies that the trade routes read, and the answers that they give."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field, field_validator, model_validator

from trimtab.contracts.fields import Asset, Identifier, Model, Money, Quantity, Time
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import ZERO
from trimtab.portfolios.ledger.imports import Imported
from trimtab.portfolios.ledger.positions import Position, Returns
from trimtab.portfolios.ledger.recalculation import Recalculation, RecalculationStatus
from trimtab.portfolios.ledger.service import NewCashEntry, NewTrade
from trimtab.portfolios.ledger.trades import MAX_AMOUNT, CashEntry, CashType, Trade, gross_amount
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeStatus
from trimtab.portfolios.portfolio.model import Portfolio

Answer = dict[str, Any]


def _read_side(value: Any) -> Any:
    """The earlier API wrote 1 for BUY and 2 for SELL."""
    return {"1": "BUY", "2": "SELL"}.get(str(value), value)


Positive = Annotated[Quantity, Field(gt=0)]
Amount = Annotated[Money, Field(gt=0)]
SideBody = Annotated[Side, BeforeValidator(_read_side)]


class RecordTrade(Model):
    """A trade. `amount` is its gross value: give that or `price` (of one unit), and the other follows.

    Where cash is tracked (see `MoveCash`) a buy is paid from it: 422 `insufficient_cash` where it does not suffice.
    """

    ref_id: Annotated[Identifier, Field(examples=["broker-4711"])]
    side: Annotated[SideBody, Field(validation_alias=AliasChoices("side", "trade_type"))]
    security_type: SecurityType
    symbol: Annotated[Asset, Field(validation_alias=AliasChoices("symbol", "ticker"), examples=["AAPL"])]
    quantity: Annotated[Positive, Field(validation_alias=AliasChoices("quantity", "volume"), examples=["10"])]
    amount: Annotated[Amount | None, Field(examples=["1500.00"])] = None
    price: Positive | None = None
    fees: Annotated[Money, Field(ge=0)] = ZERO
    status: TradeStatus = TradeStatus.SUCCESS
    executed_at: Time | None = None

    @field_validator("ref_id")
    @classmethod
    def _is_not_taken(cls, ref_id: str) -> str:
        if ref_id == "import":
            raise ValueError("This name is taken by the route of imports.")
        return ref_id

    @model_validator(mode="after")
    def _has_a_value(self) -> "RecordTrade":
        if self.amount is None and self.price is None:
            raise ValueError("Give the amount or the price.")
        if self.price is not None:
            follows = gross_amount(self.quantity, self.price)
            if self.amount is not None and self.amount != follows:
                raise ValueError(f"amount and price disagree: quantity times price is {follows}. Give one of them.")
            if not follows or follows > MAX_AMOUNT:
                raise ValueError(f"The amount that follows from the price must lie between 0.01 and {MAX_AMOUNT}.")
        return self

    def to_domain(self) -> NewTrade:
        """The trade, with its amount filled in."""
        amount = gross_amount(self.quantity, self.price) if self.price is not None else self.amount
        return NewTrade(
            ref_id=self.ref_id,
            side=self.side,
            security_type=self.security_type,
            symbol=self.symbol,
            quantity=self.quantity,
            amount=amount or ZERO,
            fees=self.fees,
            status=self.status,
            executed_at=self.executed_at,
        )


class CorrectTrade(Model):
    """A correction: what is left out stays."""

    quantity: Positive | None = None
    amount: Amount | None = None
    status: TradeStatus | None = None
    executed_at: Time | None = None

    def to_domain(self) -> dict[str, Any]:
        """The members that are to change."""
        change = {name: getattr(self, name) for name in self.model_fields_set if getattr(self, name) is not None}
        if not change:
            raise Invalid("nothing_to_correct", "Give at least one of quantity, amount, status and executed_at.")
        return change


class MoveCash(Model):
    """Cash that comes in (deposit, dividend) or goes out (withdrawal, fee), now or at `executed_at` in the past.

    Cash is tracked from the first time it is given, and from the first rebalance that is planned: that one counts cash
    that was not tracked as none. From then on each trade moves it, so a buy that is paid from outside needs a deposit
    first.
    """

    ref_id: Identifier
    type: CashType
    amount: Amount
    executed_at: Time | None = None

    def to_domain(self) -> NewCashEntry:
        """The entry, without what only the portfolio knows."""
        return NewCashEntry(self.ref_id, self.type, self.amount, self.executed_at)


class RevisionView(Model):
    """What a trade was before a correction, who corrected it, and when."""

    revision: int
    corrected_by: str
    corrected_at: datetime
    quantity: str
    amount: str
    status: TradeStatus
    executed_at: datetime


class TradeView(Model):
    """A trade as it stands; `history` holds what it was before each correction.

    `rebalance_id` is there where it is the fill of a rebalance's order.
    """

    ref_id: str
    portfolio_id: str
    side: Side
    security_type: SecurityType
    symbol: str
    quantity: str
    amount: str
    price: str
    fees: str
    status: TradeStatus
    executed_at: datetime
    rebalance_id: str | None
    revision: int
    history: list[RevisionView]
    created_at: datetime
    updated_at: datetime


class TradeList(Model):
    """A page of trades, latest execution first."""

    items: list[TradeView]
    next_cursor: str | None


class HoldingView(Model):
    """A symbol's summary; quote and market value are null where the symbol has no quote."""

    symbol: str
    security_type: SecurityType
    quantity: str
    average_cost: str | None
    cost_basis: str
    realised_profit: str
    quote: str | None
    quote_as_of: datetime | None
    market_value: str | None
    updated_at: datetime | None


class HoldingList(Model):
    """Every symbol that was ever held, by name."""

    items: list[HoldingView]
    cash: str | None
    next_cursor: None


class ReturnsView(Model):
    """Profit in money; `return_value` is the total under its earlier name. What is `unpriced` counts as nothing.

    `method` and `basis` say how it was found, `as_of` of which past day (null: now, at the newest quotes),
    `observations` counts the holdings that have a price.
    """

    realised: str
    unrealised: str
    total: str
    return_value: str
    unpriced: list[str]
    method: str
    basis: str
    as_of: date | None
    observations: int


class CashView(Model):
    """A cash entry, and the balance after it."""

    ref_id: str
    portfolio_id: str
    type: CashType
    amount: str
    balance: str
    executed_at: datetime
    created_at: datetime


class ImportedView(Model):
    """How many rows were recorded now, and how many stood there already."""

    recorded: int
    already_recorded: int


class JobLinks(Model):
    """Paths below the API's address."""

    self: str
    holdings: str


class JobView(Model):
    """A trade that waits for a worker; the portfolio is locked until it is COMPLETED, or REJECTED for a reason."""

    job_id: str
    portfolio_id: str
    ref_id: str
    status: RecalculationStatus
    reason: str | None
    created_at: datetime
    updated_at: datetime
    links: JobLinks


class SummaryRow(Model):
    """A holding in the form of the earlier API."""

    ticker: str
    average_amount: str
    volume: str
    updated_at: datetime


class SummaryView(Model):
    """Holdings in the form of the earlier API."""

    count: int
    next: None
    previous: None
    results: list[SummaryRow]


def trade_view(it: Trade) -> Answer:
    """See `TradeView`."""
    return {
        "ref_id": it.ref_id,
        "portfolio_id": it.portfolio_id,
        "side": it.side.value,
        "security_type": it.security_type.value,
        "symbol": it.symbol,
        "quantity": _quantity(it.quantity),
        "amount": _money(it.amount),
        "price": _quantity(it.price),
        "fees": _money(it.fees),
        "status": it.status.value,
        "executed_at": format_time(it.executed_at),
        "rebalance_id": it.rebalance_id,
        "revision": it.version,
        "history": [
            {
                "revision": number,
                "corrected_by": each.by,
                "corrected_at": format_time(each.at),
                "quantity": _quantity(each.quantity),
                "amount": _money(each.amount),
                "status": each.status.value,
                "executed_at": format_time(each.executed_at),
            }
            for number, each in enumerate(it.history, 1)
        ],
        "created_at": format_time(it.created_at),
        "updated_at": format_time(it.updated_at),
    }


def holdings_view(portfolio: Portfolio, positions: list[Position]) -> Answer:
    """See `HoldingList`."""
    cash = None if portfolio.cash is None else _money(portfolio.cash)
    return {"items": [_holding_view(it) for it in positions], "cash": cash, "next_cursor": None}


def _holding_view(it: Position) -> Answer:
    """See `HoldingView`."""
    holding, quote = it.holding, it.quote
    price = quote.price if quote else None
    return {
        "symbol": holding.symbol,
        "security_type": holding.security_type.value,
        "quantity": _quantity(holding.quantity),
        "average_cost": None if holding.average_cost is None else _quantity(holding.average_cost),
        "cost_basis": _money(holding.cost),
        "realised_profit": _money(holding.realised),
        "quote": None if price is None else _quantity(price),
        "quote_as_of": format_time(quote.as_of) if quote and quote.as_of else None,
        "market_value": None if it.market_value is None else _money(it.market_value),
        "updated_at": format_time(holding.last[0]) if holding.last else None,
    }


def returns_view(it: Returns) -> Answer:
    """See `ReturnsView`."""
    return {
        "realised": _money(it.realised),
        "unrealised": _money(it.unrealised),
        "total": _money(it.total),
        "return_value": _money(it.total),
        "unpriced": list(it.unpriced),
        "method": "realised_profit_plus_value_less_average_cost",
        "basis": "last_closes_split_adjusted" if it.day else "newest_quotes",
        "as_of": it.day and it.day.isoformat(),
        "observations": it.priced,
    }


def cash_view(it: CashEntry) -> Answer:
    """See `CashView`."""
    return {
        "ref_id": it.ref_id,
        "portfolio_id": it.portfolio_id,
        "type": it.type.value,
        "amount": _money(it.amount),
        "balance": _money(it.balance),
        "executed_at": format_time(it.executed_at),
        "created_at": format_time(it.created_at),
    }


def job_view(it: Recalculation) -> Answer:
    """See `JobView`."""
    portfolio = f"/portfolios/{it.portfolio_id}"
    return {
        "job_id": it.job_id,
        "portfolio_id": it.portfolio_id,
        "ref_id": it.trade.ref_id,
        "status": it.status.value,
        "reason": it.reason,
        "created_at": format_time(it.created_at),
        "updated_at": format_time(it.updated_at),
        "links": {"self": f"{portfolio}/jobs/{it.job_id}", "holdings": f"{portfolio}/holdings"},
    }


def imported_view(it: Imported) -> Answer:
    """See `ImportedView`."""
    return {"recorded": it.recorded, "already_recorded": it.already_recorded}


def summary_view(positions: list[Position]) -> Answer:
    """See `SummaryView`: what is held now."""
    rows = [
        {
            "ticker": it.holding.symbol,
            "average_amount": _money(it.holding.average_cost or ZERO),
            "volume": _quantity(it.holding.quantity),
            "updated_at": format_time(it.holding.last[0]) if it.holding.last else None,
        }
        for it in positions
        if it.holding.quantity
    ]
    return {"count": len(rows), "next": None, "previous": None, "results": rows}


def _money(number: Decimal) -> str:
    return f"{number:.2f}"


def _quantity(number: Decimal) -> str:
    return f"{number:.9f}"

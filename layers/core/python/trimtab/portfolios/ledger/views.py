"""Request bodies and responses of the routes for trades and imports."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, model_validator

from trimtab.contracts.assets import QuoteUnit
from trimtab.contracts.fields import Asset, FineQuantity, Identifier, Model, Quantity, StatedMoney, Time
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import MONEY_PLACES, QUANTITY_PLACES, ZERO, count_decimals, plain, to_money
from trimtab.portfolios.ledger.imports import ImportResult
from trimtab.portfolios.ledger.new_entries import NewTrade
from trimtab.portfolios.ledger.recalculation import Recalculation, RecalculationStatus
from trimtab.portfolios.ledger.trades import MAX_AMOUNT, Trade, TradeRevision, gross_amount
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeStatus

Answer = dict[str, Any]


def _read_side(value: Any) -> Any:
    """Accept the values of the earlier API: 1 for BUY, 2 for SELL."""
    return {"1": "BUY", "2": "SELL"}.get(str(value), value)


def _require_unreserved(ref_id: str) -> str:
    if ref_id == "import":
        raise ValueError("`import` is reserved. Send another ref_id.")
    return ref_id


RefIdBody = Annotated[Identifier, AfterValidator(_require_unreserved)]
Positive = Annotated[Quantity, Field(gt=0)]
PositiveFine = Annotated[FineQuantity, Field(gt=0)]
Amount = Annotated[StatedMoney, Field(gt=0)]
SideBody = Annotated[Side, BeforeValidator(_read_side)]


class RecordTrade(Model):
    """A trade. Send `amount` (gross value) or `price` (of one unit); the other is derived.

    `quantity` has up to 9 decimals, or as text up to 18 where the `quantity_places` of the asset say so.
    The price of a bond is in the `quote_unit` of its asset; `quantity` is nominal value where the unit is `percent`.
    `amount` and `fees` have up to 9 decimals and are kept as given; their sum is rounded half up where it changes cash.

    Where cash is tracked (see `MoveCash`) a buy is paid from the cash balance: 422 `insufficient_cash` where the
    balance is too low at any instant since the execution. Without `executed_at` the time of recording is used.
    """

    ref_id: Annotated[RefIdBody, Field(examples=["broker-4711"])]
    side: Annotated[SideBody, Field(validation_alias=AliasChoices("side", "trade_type"))]
    security_type: SecurityType
    symbol: Annotated[Asset, Field(validation_alias=AliasChoices("symbol", "ticker"), examples=["AAPL"])]
    quantity: Annotated[PositiveFine, Field(validation_alias=AliasChoices("quantity", "volume"), examples=["10"])]
    amount: Annotated[Amount | None, Field(examples=["1500.00"])] = None
    price: Positive | None = None
    fees: Annotated[StatedMoney, Field(ge=0)] = ZERO
    status: TradeStatus = TradeStatus.SUCCESS
    executed_at: Time | None = None

    @model_validator(mode="after")
    def _require_amount_or_price(self) -> "RecordTrade":
        if self.amount is None and self.price is None:
            raise ValueError("Send amount or price.")
        if self.price is not None:
            derived = gross_amount(self.quantity, self.price)
            amounts = [derived, gross_amount(self.quantity, QuoteUnit.PERCENT.unit_price(self.price))]
            fitting = amounts if self.security_type is SecurityType.BOND else [derived]
            if self.amount is not None and to_money(self.amount) not in map(to_money, fitting):
                raise ValueError(f"amount and price disagree: quantity times price is {derived}. Send one of the two.")
            if not derived or derived > MAX_AMOUNT:
                raise ValueError(f"quantity times price is {derived}; the limits are 0.000000001 and {MAX_AMOUNT}.")
        return self

    def to_domain(self) -> NewTrade:
        """Return the trade with the amount filled in."""
        derived = gross_amount(self.quantity, self.price) if self.price is not None else None
        return NewTrade(
            ref_id=self.ref_id,
            side=self.side,
            security_type=self.security_type,
            symbol=self.symbol,
            quantity=self.quantity,
            amount=self.amount or derived or ZERO,
            fees=self.fees,
            status=self.status,
            executed_at=self.executed_at,
            quoted_price=self.price if self.security_type is SecurityType.BOND and self.amount is None else None,
        )


class CorrectTrade(Model):
    """A correction of a trade; members that are left out keep their values."""

    side: SideBody | None = None
    symbol: Asset | None = None
    quantity: PositiveFine | None = None
    amount: Amount | None = None
    fees: Annotated[StatedMoney, Field(ge=0)] | None = None
    status: TradeStatus | None = None
    executed_at: Time | None = None

    def to_domain(self) -> dict[str, Any]:
        """Return the members to change, by name."""
        members = {name: getattr(self, name) for name in CorrectTrade.model_fields}
        changes = {name: value for name, value in members.items() if value is not None}
        if not changes:
            raise Invalid("nothing_to_correct", f"Send at least one of {', '.join(members)}.")
        return changes


class CorrectFill(CorrectTrade):
    """A correction of a fill by an operator, with the reason for the audit record."""

    reason: Annotated[str, Field(min_length=1, max_length=500, examples=["The broker's statement says 101.20."])]


class RevisionView(Model):
    """Members of a trade before a correction, with author and time of the correction.

    `reason` is that of the operator who corrected a fill.
    """

    revision: int
    corrected_by: str
    corrected_at: datetime
    reason: str | None
    side: Side
    symbol: str
    quantity: str
    amount: str
    fees: str
    status: TradeStatus
    executed_at: datetime


class TradeView(Model):
    """The present revision of a trade; `history` holds the earlier revisions, oldest first.

    `rebalance_id` is set where the trade is the fill of a rebalance's order.
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


class ImportView(Model):
    """Number of rows recorded now, and of rows recorded before.

    `ignored` counts the rows of a broker's statement that this import does not record, by the broker's name for them.
    """

    recorded: int
    already_recorded: int
    ignored: dict[str, int]


class JobLinks(Model):
    """Paths relative to the API's base URL."""

    self: str
    holdings: str


class JobView(Model):
    """A recalculation: a trade that a worker records. The portfolio is locked until COMPLETED or REJECTED.

    `reason` is set where the trade was rejected.
    """

    job_id: str
    portfolio_id: str
    ref_id: str
    status: RecalculationStatus
    reason: str | None
    created_at: datetime
    updated_at: datetime
    links: JobLinks


def trade_view(trade: Trade) -> Answer:
    """Return a `TradeView`."""
    return {
        "ref_id": trade.ref_id,
        "portfolio_id": trade.portfolio_id,
        "side": trade.side.value,
        "security_type": trade.security_type.value,
        "symbol": trade.symbol,
        "quantity": units_text(trade.quantity),
        "amount": stated_amount(trade.amount),
        "price": price_text(trade.price),
        "fees": stated_amount(trade.fees),
        "status": trade.status.value,
        "executed_at": format_time(trade.executed_at),
        "rebalance_id": trade.rebalance_id,
        "revision": trade.version,
        "history": [_revision_view(number, revision) for number, revision in enumerate(trade.revisions(), 1)],
        "created_at": format_time(trade.created_at),
        "updated_at": format_time(trade.updated_at),
    }


def _revision_view(number: int, revision: TradeRevision) -> Answer:
    return {
        "revision": number,
        "corrected_by": revision.corrected_by,
        "corrected_at": format_time(revision.corrected_at),
        "reason": revision.reason,
        "side": revision.side,
        "symbol": revision.symbol,
        "quantity": units_text(revision.quantity),
        "amount": stated_amount(revision.amount),
        "fees": stated_amount(revision.fees or ZERO),
        "status": revision.status.value,
        "executed_at": format_time(revision.executed_at),
    }


def job_view(job: Recalculation) -> Answer:
    """Return a `JobView`."""
    portfolio = f"/portfolios/{job.portfolio_id}"
    return {
        "job_id": job.job_id,
        "portfolio_id": job.portfolio_id,
        "ref_id": job.trade.ref_id,
        "status": job.status.value,
        "reason": job.reason,
        "created_at": format_time(job.created_at),
        "updated_at": format_time(job.updated_at),
        "links": {"self": f"{portfolio}/jobs/{job.job_id}", "holdings": f"{portfolio}/holdings"},
    }


def import_view(result: ImportResult, ignored: Mapping[str, int]) -> Answer:
    """Return an `ImportView`."""
    counts = {"recorded": result.recorded, "already_recorded": result.already_recorded}
    return {**counts, "ignored": dict(sorted(ignored.items()))}


def stated_amount(number: Decimal) -> str:
    """Return an amount as it was given, with at least 2 decimals."""
    decimals = len(plain(number).partition(".")[2])
    return f"{number:.{max(decimals, MONEY_PLACES)}f}"


def money_text(number: Decimal) -> str:
    return f"{number:.2f}"


def units_text(quantity: Decimal) -> str:
    """Return a quantity with 9 decimals, or with more where the quantity has more."""
    return f"{quantity:.{max(QUANTITY_PLACES, count_decimals(quantity))}f}"


def price_text(number: Decimal) -> str:
    return f"{number:.9f}"

"""Request bodies and responses of the routes for trades."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from trimtab.contracts.assets import QuoteUnit
from trimtab.contracts.fields import Asset, Day, FineQuantity, Identifier, Model, Quantity, StatedMoney, Time
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import QUANTITY_PLACES, ZERO, decimals_text, to_money
from trimtab.portfolios.ledger.new_entries import NewTrade
from trimtab.portfolios.ledger.recalculation import Recalculation, RecalculationStatus
from trimtab.portfolios.ledger.trades import MAX_AMOUNT, Trade, TradeRevision, gross_amount
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeKind, TradeStatus

Answer = dict[str, Any]


def _read_side(value: Any) -> Any:
    """Accept the values of the earlier API: 1 for BUY, 2 for SELL."""
    return value if isinstance(value, bool) else {"1": "BUY", "2": "SELL"}.get(str(value), value)


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
    """A trade, or a movement of units or cost without a trade. Send `amount` or `price`; the other is derived.

    A `kind` other than `trade` implies the side and has no fees: 422 `not_of_kind` for a value that the kind lacks.
    `transfer_in`: quantity, and the cost basis as `amount`. `transfer_out`, `free_shares`, `write_off`: quantity only.
    `return_of_capital`: `amount` only. `spin_off`: quantity of the new units, their cost as `amount`, and
    `spun_off_from`, the parent's symbol, whose cost basis falls by that amount.

    Where cash is tracked (see `MoveCash`) a buy is paid from the cash balance: 422 `insufficient_cash` where the
    balance is too low at any instant since the execution.
    """

    ref_id: Annotated[RefIdBody, Field(examples=["broker-4711"])]
    """The id of the trade in your system, unique within the portfolio: a repeat with the same values gets the first
    response. `import` is reserved. Example: `broker-4711`"""
    kind: TradeKind = TradeKind.TRADE
    """The kind of the trade; all but `trade` are movements of units or cost without a trade."""
    side: Annotated[SideBody | None, Field(validation_alias=AliasChoices("side", "trade_type"))] = None
    """`BUY` or `SELL`; the earlier API's `1` and `2` are accepted. Needed for a `trade`; other kinds imply the side."""
    security_type: SecurityType
    """The asset class of the symbol."""
    symbol: Annotated[Asset, Field(validation_alias=AliasChoices("symbol", "ticker"), examples=["AAPL"])]
    quantity: Annotated[PositiveFine | None, Field(examples=["10"])] = None
    """The number of units, above 0: up to 9 decimals, or up to 18 where the `quantity_places` of the asset say
    so. For a bond quoted in percent, the nominal value. Needed unless the kind is `return_of_capital`. Example: `10`"""
    amount: Annotated[Amount | None, Field(examples=["1500.00"])] = None
    """The gross value in money, above 0, up to 9 decimals, without fees; derived from `price` where absent. Example:
    `1500.00`"""
    price: Positive | None = None
    """The price of one unit, above 0, in the `quote_unit` of a bond's asset; derived from `amount` where absent.
    Example: `150.00`"""
    fees: Annotated[StatedMoney, Field(ge=0)] = ZERO
    """The fees of the trade in money, at least 0, up to 9 decimals. `amount` and `fees` are rounded once, half up, as
    one sum where they change cash. Example: `1.00`"""
    status: TradeStatus = TradeStatus.SUCCESS
    """The status of the trade; only `success` changes holdings and cash."""
    executed_at: Time | None = None
    """The time of execution (RFC 3339), at most 5 minutes in the future. Default: the time of recording. Example:
    `2026-11-20T15:30:00Z`"""
    spun_off_from: Asset | None = None
    """The symbol of the parent, whose cost basis falls by `amount`; only for a `spin_off`. Example: `AAPL`"""
    acquired_on: Day | None = None
    """The day on which transferred units were bought; only for a `transfer_in`. Example: `2019-06-03`"""

    @model_validator(mode="before")
    @classmethod
    def _refuse_volume(cls, body: Any) -> Any:
        if isinstance(body, dict) and "volume" in body:
            # The earlier API meant an `amount` for each unit: under our `quantity` the trade would be another one.
            error = PydanticCustomError("volume", "Send `quantity`, and the price of one unit as `price`.")
            raise ValidationError.from_exception_data(
                cls.__name__, [{"type": error, "loc": ("volume",), "input": body["volume"]}]
            )
        return body

    @model_validator(mode="after")
    def _require_members_of_trades(self) -> "RecordTrade":
        if self.kind is TradeKind.TRADE and self.side is None:
            raise ValueError("Send side.")
        if self.kind.has_units and self.quantity is None:
            raise ValueError("Send quantity.")
        if self.kind.has_amount and self.amount is None and self.price is None:
            raise ValueError("Send amount or price.")
        return self

    @model_validator(mode="after")
    def _require_price_of_amount(self) -> "RecordTrade":
        if self.price is not None:
            quantity = self.quantity or ZERO
            derived = gross_amount(quantity, self.price)
            amounts = [derived, gross_amount(quantity, QuoteUnit.PERCENT.unit_price(self.price))]
            fitting = amounts if self.security_type is SecurityType.BOND else [derived]
            if self.amount is not None and to_money(self.amount) not in map(to_money, fitting):
                raise ValueError(f"amount and price disagree: quantity times price is {derived}. Send one of the two.")
            if not derived or derived > MAX_AMOUNT:
                raise ValueError(f"quantity times price is {derived}; the limits are 0.000000001 and {MAX_AMOUNT}.")
        return self

    def to_domain(self) -> NewTrade:
        """Return the trade with the amount filled in."""
        derived = gross_amount(self.quantity or ZERO, self.price) if self.price is not None else None
        return NewTrade(
            ref_id=self.ref_id,
            side=self.side or self.kind.side or Side.BUY,
            security_type=self.security_type,
            symbol=self.symbol,
            quantity=self.quantity or ZERO,
            amount=self.amount or derived or ZERO,
            fees=self.fees,
            status=self.status,
            executed_at=self.executed_at,
            quoted_price=self.price if self.amount is None else None,
            kind=self.kind,
            spun_off_from=self.spun_off_from,
            acquired_on=self.acquired_on,
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
    """The reason of the correction, for the audit record; 1 to 500 characters."""


class RevisionView(Model):
    """The members of a trade before a correction, with author and time of the correction."""

    revision: int
    """The number of this earlier revision, from 1. Example: `1`"""
    corrected_by: str
    """The subject of the token that made the correction. Example: `ops@example.com`"""
    corrected_at: datetime
    """The time of the correction (UTC)."""
    reason: str | None
    """The reason of the operator who corrected a fill; null for other corrections. Example: `The broker's statement
    says 101.20.`"""
    side: Side
    symbol: str
    quantity: str
    amount: str
    fees: str
    status: TradeStatus
    executed_at: datetime


class TradeView(Model):
    """The present revision of a trade.

    A spin-off is listed twice with one `ref_id`: the new units, with the parent's symbol in `spun_off_from`, and the
    parent's side, a SELL of the quantity 0. A correction changes both.
    """

    ref_id: str
    """The id of the trade: the one that was recorded, or the client order id of a rebalance's order. Example:
    `broker-4711`"""
    portfolio_id: str
    kind: TradeKind
    """The kind of the trade; all but `trade` are movements of units or cost without a trade."""
    side: Side
    security_type: SecurityType
    symbol: str
    quantity: str
    """The number of units, with at least 9 decimals; for a bond quoted in percent, the nominal value. Example:
    `10.000000000`"""
    amount: str
    """The gross value in money, or the cost of units that came in without a trade, as it was given, with at least 2
    decimals, without fees. Example: `1500.00`"""
    price: str | None
    """The price of one unit in money: `amount` divided by `quantity`, with 9 decimals; null without a quantity.
    Example: `150.000000000`"""
    fees: str
    """The fees of the trade in money as they were given, with at least the decimals of the currency. Example: `1.00`"""
    status: TradeStatus
    executed_at: datetime
    """The time of execution (UTC). Example: `2026-11-20T15:30:00Z`"""
    spun_off_from: str | None
    """The symbol of the parent of a spin-off; null for other kinds and for the parent's side. Example: `AAPL`"""
    acquired_on: date | None
    """The day on which transferred units were bought; null where it was not given. Example: `2019-06-03`"""
    rebalance_id: str | None
    """The rebalance whose order this trade fills; null for other trades. Example:
    `731eb848-c0f2-552f-b8d8-c216b7119182`"""
    import_id: str | None
    """The import that recorded the trade; null for other trades."""
    revision: int
    """The number of the present revision: 1 for a trade that was never corrected. Example: `1`"""
    history: list[RevisionView]
    """The earlier revisions, oldest first."""
    created_at: datetime
    updated_at: datetime


class TradeList(Model):
    """A page of trades, latest execution first."""

    items: list[TradeView]
    next_cursor: str | None


class JobLinks(Model):
    """The addresses of a recalculation."""

    self: str
    """The path of the job, relative to the URL of the request. Example:
    `../../portfolios/265076e4-f1a0-5d1f-99a9-59a8b0e03f01/jobs/731eb848-c0f2-552f-b8d8-c216b7119182`"""
    holdings: str
    """The path of the holdings, relative to the URL of the request. Example:
    `../../portfolios/265076e4-f1a0-5d1f-99a9-59a8b0e03f01/holdings`"""


class JobView(Model):
    """A recalculation: a trade that a worker records. The portfolio is locked until the job is `COMPLETED` or
    `REJECTED`."""

    job_id: str
    """The id of the job, a UUID. Example: `731eb848-c0f2-552f-b8d8-c216b7119182`"""
    portfolio_id: str
    ref_id: str
    """The `ref_id` of the trade that the job records. Example: `broker-4711`"""
    status: RecalculationStatus
    """`REQUESTED` until the trade is recorded (`COMPLETED`) or rejected (`REJECTED`)."""
    reason: str | None
    """The reason of the rejection; null otherwise. Example: `insufficient_cash: Cash would be below zero.`"""
    created_at: datetime
    updated_at: datetime
    links: JobLinks


def trade_view(trade: Trade) -> Answer:
    """Return a `TradeView`."""
    return {
        "ref_id": trade.ref_id,
        "portfolio_id": trade.portfolio_id,
        "kind": trade.kind.value,
        "side": trade.side.value,
        "security_type": trade.security_type.value,
        "symbol": trade.symbol,
        "quantity": units_text(trade.quantity),
        "amount": decimals_text(trade.amount, trade.minor_units),
        "price": None if trade.price is None else price_text(trade.price),
        "fees": decimals_text(trade.fees, trade.minor_units),
        "status": trade.status.value,
        "executed_at": format_time(trade.executed_at),
        "spun_off_from": trade.spun_off_from,
        "acquired_on": trade.acquired_on and trade.acquired_on.isoformat(),
        "rebalance_id": trade.rebalance_id,
        "import_id": trade.import_id,
        "revision": trade.version,
        "history": [
            _revision_view(number, revision, trade.minor_units) for number, revision in enumerate(trade.revisions(), 1)
        ],
        "created_at": format_time(trade.created_at),
        "updated_at": format_time(trade.updated_at),
    }


def _revision_view(number: int, revision: TradeRevision, minor_units: int) -> Answer:
    return {
        "revision": number,
        "corrected_by": revision.corrected_by,
        "corrected_at": format_time(revision.corrected_at),
        "reason": revision.reason,
        "side": revision.side,
        "symbol": revision.symbol,
        "quantity": units_text(revision.quantity),
        "amount": decimals_text(revision.amount, minor_units),
        "fees": decimals_text(revision.fees or ZERO, minor_units),
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


def units_text(quantity: Decimal) -> str:
    """Return a quantity with 9 decimals, or with more where the quantity has more."""
    return decimals_text(quantity, QUANTITY_PLACES)


def price_text(number: Decimal) -> str:
    """Return the price of one unit with 9 decimals."""
    return f"{number:.9f}"

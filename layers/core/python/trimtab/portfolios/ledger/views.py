"""Request bodies and responses of the routes for trades, holdings and profit."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, model_validator

from trimtab.contracts.assets import QuoteUnit
from trimtab.contracts.fields import Asset, FineQuantity, Identifier, Model, Quantity, StatedMoney, Time
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import MONEY_PLACES, QUANTITY_PLACES, ZERO, count_decimals, plain, to_money
from trimtab.portfolios.ledger.holdings_reader import PortfolioProfit, PricedHolding
from trimtab.portfolios.ledger.imports import ImportResult
from trimtab.portfolios.ledger.new_entries import NewTrade
from trimtab.portfolios.ledger.recalculation import Recalculation, RecalculationStatus
from trimtab.portfolios.ledger.trades import MAX_AMOUNT, Trade, TradeRevision, gross_amount
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeStatus
from trimtab.portfolios.portfolio.model import Portfolio

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


def trade_view(trade: Trade) -> Answer:
    """Return a `TradeView`."""
    return {
        "ref_id": trade.ref_id,
        "portfolio_id": trade.portfolio_id,
        "side": trade.side.value,
        "security_type": trade.security_type.value,
        "symbol": trade.symbol,
        "quantity": _units(trade.quantity),
        "amount": stated_amount(trade.amount),
        "price": _quantity(trade.price),
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
        "quantity": _units(revision.quantity),
        "amount": stated_amount(revision.amount),
        "fees": stated_amount(revision.fees or ZERO),
        "status": revision.status.value,
        "executed_at": format_time(revision.executed_at),
    }


def holdings_view(portfolio: Portfolio, holdings: list[PricedHolding]) -> Answer:
    """Return a `HoldingList`."""
    cash = None if portfolio.cash is None else _money(portfolio.cash)
    return {"items": [_holding_view(priced) for priced in holdings], "cash": cash, "next_cursor": None}


def _holding_view(priced: PricedHolding) -> Answer:
    holding, price = priced.holding, priced.price
    return {
        "symbol": holding.symbol,
        "security_type": holding.security_type.value,
        "quantity": _units(holding.quantity),
        "average_cost": None if holding.average_cost is None else _quantity(holding.average_cost),
        "cost_basis": _money(holding.cost_basis),
        "realised_profit": _money(holding.realised_profit),
        "price": price and _quantity(price.value),
        "price_as_of": price and format_time(price.at),
        "price_source": price and price.source,
        "close_day": price and price.close_day and price.close_day.isoformat(),
        "market_value": None if priced.market_value is None else _money(priced.market_value),
        "oversold": _units(holding.oversold),
        "updated_at": format_time(holding.last_trade[0]) if holding.last_trade else None,
    }


def profit_view(profit: PortfolioProfit) -> Answer:
    """Return a `ProfitView`."""
    return {
        "realised": _money(profit.realised),
        "unrealised": _money(profit.unrealised),
        "income": _money(profit.income),
        "cash_fees": _money(profit.cash_fees),
        "total": _money(profit.total),
        "return_value": _money(profit.total),
        "unpriced": list(profit.unpriced),
        "method": "realised_profit_plus_value_less_average_cost_plus_income_less_cash_fees",
        "basis": "last_closes_split_adjusted" if profit.day else "newer_of_quote_and_last_close",
        "as_of": profit.day and profit.day.isoformat(),
        "observations": profit.priced,
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


def summary_view(holdings: list[PricedHolding]) -> Answer:
    """Return a `SummaryView` of the holdings with a quantity."""
    held = [priced.holding for priced in holdings if priced.holding.quantity]
    rows = [
        {
            "ticker": holding.symbol,
            "average_amount": _money(holding.average_cost or ZERO),
            "volume": _units(holding.quantity),
            "updated_at": format_time(holding.last_trade[0]) if holding.last_trade else None,
        }
        for holding in held
    ]
    return {"count": len(rows), "next": None, "previous": None, "results": rows}


def stated_amount(number: Decimal) -> str:
    """Return an amount as it was given, with at least 2 decimals."""
    decimals = len(plain(number).partition(".")[2])
    return f"{number:.{max(decimals, MONEY_PLACES)}f}"


def _money(number: Decimal) -> str:
    return f"{number:.2f}"


def _units(quantity: Decimal) -> str:
    """Return a quantity with 9 decimals, or with more where the quantity has more."""
    return f"{quantity:.{max(QUANTITY_PLACES, count_decimals(quantity))}f}"


def _quantity(number: Decimal) -> str:
    return f"{number:.9f}"

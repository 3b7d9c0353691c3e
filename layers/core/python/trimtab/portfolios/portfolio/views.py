"""Bodies and answers of the portfolio routes."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, StrictBool, model_validator

from trimtab.contracts.fields import (
    Asset,
    FineQuantity,
    Identifier,
    Model,
    Name,
    NormaliseOnRequest,
    StatedMoney,
    TargetAllocation,
    sum_as_sent,
)
from trimtab.kernel.clock import format_time
from trimtab.kernel.currencies import minor_units, money_text
from trimtab.kernel.money import count_decimals, plain, to_percent
from trimtab.portfolios.portfolio.attention import AttentionEntry
from trimtab.portfolios.portfolio.brake import Brake
from trimtab.portfolios.portfolio.cash_rule import CashTracking
from trimtab.portfolios.portfolio.holdings import SecurityType
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Policy, Restriction
from trimtab.portfolios.portfolio.policy_views import PolicyBody, PolicyView, policy_view
from trimtab.portfolios.portfolio.service import Investment, NewPortfolio, PortfolioWithAttention

Answer = dict[str, Any]
USER = AliasChoices("user_id", "UserID")
MAX_INVESTMENTS = 90
"""Opening positions of a new portfolio: as many as one transaction stores."""
EXAMPLE = {"stocks": 60, "bonds": 30, "gold": 10}


class InvestmentBody(Model):
    """An opening position of a new portfolio, recorded as a trade of the kind `transfer_in`."""

    symbol: Annotated[Asset, Field(validation_alias=AliasChoices("symbol", "ticker"), examples=["AAPL"])]
    quantity: Annotated[FineQuantity, Field(gt=0, examples=["10"])]
    """The number of units, above 0: up to 9 decimals, or up to 18 where the `quantity_places` of the asset say so.
    Example: `10`"""
    cost: Annotated[StatedMoney, Field(gt=0)] | None = None
    """The cost basis of all units in money, above 0, up to 9 decimals. Null or absent: the quantity times the newest
    accepted price. Example: `1500.00`"""
    security_type: SecurityType = SecurityType.STOCK
    """The asset class of the symbol. Default: `stock`."""


def _require_few(value: Any) -> Any:
    if isinstance(value, list) and len(value) > MAX_INVESTMENTS:
        raise ValueError(
            f"Send at most {MAX_INVESTMENTS} investments. Create the portfolio without, then send them to "
            "POST /portfolios/{portfolio_id}/trades/import as trades of the kind transfer_in."
        )
    return value


def _require_distinct(investments: tuple[InvestmentBody, ...]) -> tuple[InvestmentBody, ...]:
    symbols = Counter(each.symbol for each in investments)
    if repeated := sorted(symbol for symbol, number in symbols.items() if number > 1):
        raise ValueError(f"Send one investment for each symbol; {repeated[0]} is given twice.")
    return investments


Investments = Annotated[
    tuple[InvestmentBody, ...],
    Field(json_schema_extra={"maxItems": MAX_INVESTMENTS}),
    BeforeValidator(_require_few),
    AfterValidator(_require_distinct),
]


class CreatePortfolio(Model):
    """A new portfolio. A portfolio without an allocation is never rebalanced."""

    user_id: Annotated[Identifier, Field(validation_alias=USER, examples=["1"])]
    """The owner of the portfolio: an id of your system, 1 to 128 characters out of letters, digits and
    `._:@|+/=~-`. Example: `auth0|17`"""
    normalise: StrictBool = False
    """True: weights with a sum from 99.99 to 100.01, or with up to 18 decimals, are corrected to 4 decimals and to the
    sum 100, by largest remainder; the response has the sum as sent. Example: `true`"""
    allocation: Annotated[
        TargetAllocation | None,
        NormaliseOnRequest,
        Field(validation_alias=AliasChoices("allocation", "Allocation"), examples=[EXAMPLE]),
    ] = None
    """Target weights by asset in percent, with a sum of exactly 100; at most 90 assets. A weight of 0: not held.
    Null or absent: the portfolio is never rebalanced."""
    name: Name = "default"
    """The name of the portfolio, unique for each user: 1 to 100 characters of any script. `PATCH` changes the name.
    Example: `José's pension`"""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    """The currency of all amounts of the portfolio, a code of ISO 4217. Example: `USD`"""
    cash: Annotated[StatedMoney, Field(ge=0)] | None = None
    """The opening cash in money, at least 0, with at most the decimals of the currency (JPY 0, USD 2, KWD 3). Null or
    absent: cash is tracked by `cash_tracking`. Example: `1000.00`"""
    cash_tracking: CashTracking | None = None
    """The recorded trades that change cash: `on` all trades; `margin` all trades, and cash may be below zero;
    `from_first_entry` trades executed since the earliest cash entry or the first rebalance; `off` none. Default: `on`
    where `cash` is given, else `from_first_entry`."""
    policy: PolicyBody = PolicyBody()
    """The rules of rebalances; members that are left out have their defaults."""
    investments: Investments = ()
    """The opening positions, at most 90 symbols: all are recorded with the portfolio, or none. The response is 422
    `no_price` for a position without a `cost` whose symbol has no price. Example: `[]`"""

    @model_validator(mode="after")
    def _require_tracked_cash(self) -> "CreatePortfolio":
        if self.cash is not None and self.cash_tracking and not self.cash_tracking.counts_all:
            raise ValueError("cash needs the cash_tracking `on` or `margin`. Leave one of the two out.")
        places = minor_units(self.currency)
        if self.cash is not None and count_decimals(self.cash) > places:
            raise ValueError(f"cash in {self.currency} has at most {places} decimals; input is not rounded.")
        return self

    def to_domain(self) -> NewPortfolio:
        """Return the request with its defaults filled in."""
        return NewPortfolio(
            user_id=self.user_id,
            name=self.name,
            currency=self.currency,
            allocation=dict(self.allocation or {}),
            policy=self.policy.apply(Policy()),
            cash=self.cash,
            cash_tracking=self.cash_tracking,
            investments=tuple(
                Investment(each.symbol, each.quantity, each.cost, each.security_type) for each in self.investments
            ),
        )


class ChangePortfolio(Model):
    """A change of name and policy: `{"name": …, "policy": {…}}`. The members of the policy may stand alone."""

    name: Name | None = None
    """The new name, unique for each user; null or absent keeps the name. The id stays, and earlier names still find the
    portfolio in `POST /rebalance`. Example: `José's pension`"""
    policy: PolicyBody = PolicyBody()
    """The members of the policy to change: an omitted member keeps its value, null restores the default."""

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, body: Any) -> Any:
        if not isinstance(body, dict) or "policy" in body:
            return body
        named = {"name": body["name"]} if "name" in body else {}
        return {**named, "policy": {name: value for name, value in body.items() if name != "name"}}


class SetAllocation(Model):
    """A new target allocation."""

    normalise: StrictBool = False
    """True: weights with a sum from 99.99 to 100.01, or with up to 18 decimals, are corrected to 4 decimals and to the
    sum 100, by largest remainder; the response has the sum as sent. Example: `true`"""
    allocation: Annotated[TargetAllocation, NormaliseOnRequest, Field(examples=[EXAMPLE])]
    """The new target weights by asset in percent, with a sum of exactly 100; at most 90 assets. A weight of 0: not
    held."""


class SetCashTracking(Model):
    """Another rule of cash: the balance is computed anew from all entries."""

    cash_tracking: CashTracking
    """The recorded trades that change cash from now on and in the past: `on`, `margin`, `from_first_entry` or `off`."""


# Answers: the models document the form, the functions below make it ------------------------------------------------


PercentText = Annotated[str, Field(pattern=r"^\d{1,3}\.\d{4}$", examples=["10.0000"])]


class BackingOffView(Model):
    """Backoff after rolled back rebalances: automatic rebalances wait."""

    failures: int
    """The number of rebalances rolled back since the last completed one. Example: `2`"""
    since: datetime | None
    """The time of the first of these rollbacks (UTC); null after a person's cancellation, which pauses without a
    failure."""
    until: datetime
    """The time until which automatic rebalances wait (UTC)."""
    rebalance_id: str | None
    """The newest rebalance that was rolled back; null after a person's cancellation. Example:
    `731eb848-c0f2-552f-b8d8-c216b7119182`"""


class QuarantineView(Model):
    """A symbol that the broker refused permanently."""

    restriction: Restriction
    """The sides that are not traded: `no_buy`, `no_sell` or `frozen` (both)."""
    reason: str
    """The reason of the broker's refusal, in the broker's words. Example: `asset is not tradable`"""
    rebalance_id: str
    """The rebalance whose order the broker refused. Example: `731eb848-c0f2-552f-b8d8-c216b7119182`"""
    since: datetime
    """The time of the refusal (UTC)."""
    until: datetime
    """The time at which the symbol is traded again (UTC), unless an operator lifts the quarantine before."""


class AttentionView(Model):
    """One reason for which a portfolio needs a person."""

    code: str
    """The reason as a code for programs: `stale`, `backing_off`, `quarantined`, `stuck`, or the code of a wait such as
    `price_held` or `halted`. Example: `stale`"""
    message: str
    """The reason as a sentence for people. Example: `2 rebalances in a row were rolled back.`"""
    since: datetime
    """The time since when the reason holds (UTC)."""
    remedy: str
    rebalance_id: str | None
    """The rebalance that the reason concerns, null where there is none. Example:
    `731eb848-c0f2-552f-b8d8-c216b7119182`"""
    symbol: str | None
    """The symbol that the reason concerns, null where there is none. Example: `AAPL`"""


class PortfolioView(Model):
    """A portfolio: target, policy, cash and status."""

    portfolio_id: str
    user_id: str
    name: str
    currency: str
    allocation: dict[str, PercentText] | None
    """Target weights by asset in percent, with 4 decimals; their sum is 100. Null for a portfolio without a target."""
    policy: PolicyView
    """The policy with its defaults filled in."""
    cash: str | None
    """The cash balance in money, with the decimals of the currency; null where cash is not tracked. Example:
    `1000.00`"""
    cash_tracking: CashTracking
    """The recorded trades that change cash: `on` all, `margin` all and cash may be below zero, `from_first_entry` those
    executed since `cash_since`, `off` none."""
    cash_since: datetime | None
    """The start of the tracked cash under `from_first_entry` (UTC); null before the first entry and under another
    rule."""
    status: str
    """`ACTIVE`, `STALE` (holdings or cash are uncertain until an operator resolves the portfolio) or `CLOSED`. Example:
    `ACTIVE`"""
    status_reason: str | None
    """The reason of the status STALE; null otherwise. Example: `the outcome of an order is unknown`"""
    locked_by: str | None
    """The id of the rebalance or the recalculation that is changing holdings and cash; null where none is. Example:
    `731eb848-c0f2-552f-b8d8-c216b7119182`"""
    next_check_at: datetime | None
    """The time of the next check that no price asks for (UTC): by the calendar rule, or at the end of a wait, such as
    the open of an exchange. Null where none is due."""
    backing_off: BackingOffView | None
    """The pause after rolled back rebalances; null where there is none."""
    quarantine: dict[str, QuarantineView]
    """The symbols that the broker refused permanently, by symbol; empty where there are none."""
    version: int
    """The number of writes of the portfolio, holdings and cash included. Example: `7`"""
    revision: int
    """The number of changes of target, policy and status, from 1: the ETag, for `If-Match`. Example: `3`"""
    created_at: datetime
    updated_at: datetime


class StoredPortfolioView(PortfolioView):
    """A portfolio after its target was stored."""

    normalised_sum: str | None = None
    """The sum of the target weights as sent, where `normalise` corrected them; absent otherwise. Example: `99.9999`"""


class ListedPortfolioView(PortfolioView):
    """A portfolio of a list, with the reasons for which the portfolio needs a person."""

    attention: list[AttentionView]
    """The reasons for which the portfolio needs a person, the longest standing first; empty where there are none."""


class PortfolioList(Model):
    """A page of portfolios, newest first; with `attention=true` or `status=STALE` the longest waiting first."""

    items: list[ListedPortfolioView]
    next_cursor: str | None
    """The value of the parameter `cursor` for the next page; null on the last page. A page may have fewer than `limit`
    items although more follow."""


def portfolio_view(portfolio: Portfolio) -> Answer:
    """Return the members of a `PortfolioView`."""
    return {
        "portfolio_id": portfolio.portfolio_id,
        "user_id": portfolio.user_id,
        "name": portfolio.name,
        "currency": portfolio.currency,
        "allocation": percent_texts(portfolio.allocation) if portfolio.allocation else None,
        "policy": policy_view(portfolio.policy, portfolio.currency),
        "cash": None if portfolio.cash is None else money_text(portfolio.cash, portfolio.currency),
        "cash_tracking": portfolio.cash_rule.tracking.value,
        "cash_since": portfolio.cash_rule.since and format_time(portfolio.cash_rule.since),
        "status": portfolio.status.value,
        "status_reason": portfolio.stale_reason,
        "locked_by": portfolio.lock and portfolio.lock.owner,
        "next_check_at": portfolio.next_check_at and format_time(portfolio.next_check_at),
        "backing_off": _backing_off_view(portfolio.brake),
        "quarantine": {
            symbol: {
                "restriction": each.restriction.value,
                "reason": each.reason,
                "rebalance_id": each.rebalance_id,
                "since": format_time(each.since),
                "until": format_time(each.until),
            }
            for symbol, each in sorted(portfolio.brake.quarantine.items())
        },
        "version": portfolio.version,
        "revision": portfolio.revision,
        "created_at": format_time(portfolio.created_at),
        "updated_at": format_time(portfolio.updated_at),
    }


def _backing_off_view(brake: Brake) -> Answer | None:
    if brake.blocked_until is None:
        return None
    return {
        "failures": brake.failures,
        "since": brake.failing_since and format_time(brake.failing_since),
        "until": format_time(brake.blocked_until),
        "rebalance_id": brake.failed_rebalance_id,
    }


def listed_portfolio_view(listed: PortfolioWithAttention) -> Answer:
    """Return the members of a `ListedPortfolioView`."""
    return {**portfolio_view(listed.portfolio), "attention": [_attention_view(entry) for entry in listed.attention]}


def _attention_view(entry: AttentionEntry) -> Answer:
    return {
        "code": entry.code,
        "message": entry.message,
        "since": format_time(entry.since),
        "remedy": entry.remedy,
        "rebalance_id": entry.rebalance_id,
        "symbol": entry.symbol,
    }


def normalised_view(weights: Mapping[str, Decimal] | None) -> Answer:
    """Return the member `normalised_sum` of a response, nothing for weights that were not corrected."""
    sent = sum_as_sent(weights)
    return {} if sent is None else {"normalised_sum": plain(sent)}


def percent_texts(weights: Mapping[str, Decimal]) -> dict[str, str]:
    """Return the weights as texts of 4 places."""
    return {asset: percent_text(weight) for asset, weight in weights.items()}


def percent_text(number: Decimal) -> str:
    return f"{to_percent(number):f}"

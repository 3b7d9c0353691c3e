"""Scenarios of the paper broker: refusals, delays, partial fills and time-outs, described in JSON.

A scenario is a list of rules. The first rule that matches an order applies; an order that matches no rule is filled
completely and at once. `infra/local/scenarios` has examples.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, TypeAdapter, ValidationError, model_validator

from trimtab.contracts.fields import Asset, Model, Money, Percent, Quantity, Weight, Whole
from trimtab.kernel import strict_json
from trimtab.kernel.errors import Refusal
from trimtab.portfolios.execution.broker import BrokerOrder
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.rebalancing.orders import NO_COMMISSION, Commission, RefusalKind

Word = Annotated[str, Field(min_length=1, max_length=128)]


class ScenarioError(ValueError):
    """Raised for an invalid scenario; the message names the rule, the member and the fault."""


class OrderMatch(Model):
    """Conditions of a rule; an order matches if every given member is equal.

    `nth` counts the arrived orders of an account in one symbol from 1: a reversal is the second order of its symbol.
    """

    symbol: Asset | None = None
    side: Side | None = None
    client_order_id: Word | None = None
    account: Word | None = None
    nth: Annotated[Whole, Field(ge=1)] | None = None

    def fits(self, account: str, order: BrokerOrder, nth: Callable[[], int]) -> bool:
        """Return whether the order matches; `nth` is called only if all other members match."""
        pairs = (
            (self.symbol, order.symbol),
            (self.side, order.side),
            (self.client_order_id, order.client_order_id),
            (self.account, account),
        )
        if any(wanted is not None and wanted != found for wanted, found in pairs):
            return False
        return self.nth is None or self.nth == nth()


class ScenarioRule(Model):
    """Behaviour of the broker for the orders that match.

    * `latency_seconds`: the order is open for this time, then executed at the quote of its next look-up.
    * `refuse`: the order ends with this reason and without a fill; `refusal` is `temporary` (default) or `permanent`.
    * `fill_percent`: only this percentage is filled; the order then ends, or with `ends: false` stays open until
      cancelled.
    * `price_factor`: the order is executed at the quote times this factor, which the limit price applies to.
    * `fee` and `fee_percent`: charged for an order with a fill, in money and in percent of the filled amount. The fees
      of a rule without `match` are the broker's commission, which planning knows; those of other rules are a surprise.
    * `time_out`: the submission is not answered, `before` or `after` it took effect; `times` submissions per order
      (default 1).
    * `note`: a comment.
    """

    match: OrderMatch = Field(default_factory=OrderMatch)
    latency_seconds: Annotated[Quantity, Field(ge=0, le=86_400)] = Decimal(0)
    refuse: Word | None = None
    refusal: RefusalKind = RefusalKind.TEMPORARY
    fill_percent: Weight | None = None
    ends: StrictBool = True
    price_factor: Annotated[Quantity, Field(gt=0, le=1_000)] = Decimal(1)
    fee: Annotated[Money, Field(ge=0)] = Decimal(0)
    fee_percent: Annotated[Percent, Field(ge=0, le=100)] = Decimal(0)
    time_out: Literal["before", "after"] | None = None
    times: Annotated[Whole, Field(ge=1, le=1_000)] = 1
    note: str | None = None

    @model_validator(mode="after")
    def _members_belong_together(self) -> Self:
        given = self.model_fields_set
        if "times" in given and self.time_out is None:
            raise ValueError("`times` is allowed only together with `time_out`.")
        if "ends" in given and self.fill_percent is None:
            raise ValueError("`ends` is allowed only together with `fill_percent`.")
        if self.refuse is not None and given & {"fill_percent", "price_factor", "fee", "fee_percent"}:
            raise ValueError("`refuse` excludes `fill_percent`, `price_factor`, `fee` and `fee_percent`.")
        if "refusal" in given and self.refuse is None:
            raise ValueError("`refusal` is allowed only together with `refuse`.")
        return self

    @property
    def commission(self) -> Commission:
        """Commission of an order with a fill."""
        return Commission(self.fee, self.fee_percent)

    @property
    def latency(self) -> timedelta:
        """Time between arrival and execution of an order."""
        return timedelta(microseconds=int(self.latency_seconds * 1_000_000))

    def pack(self) -> str:
        """Return the rule as JSON to be stored with an order; later changes of the scenario do not affect the order."""
        return self.model_dump_json(exclude_defaults=True, exclude={"match", "note"})


def unpack_rule(text: str) -> ScenarioRule:
    """Return the rule that was stored with an order; members of a newer release are ignored."""
    members = strict_json.loads(text)
    return ScenarioRule.model_validate({name: members[name] for name in ScenarioRule.model_fields if name in members})


def parse_scenario(text: str) -> tuple[ScenarioRule, ...]:
    """Return the rules of a scenario; raises `ScenarioError` for an invalid JSON text."""
    try:
        return TypeAdapter(tuple[ScenarioRule, ...]).validate_python(strict_json.loads(text))
    except ValidationError as error:
        faults = "; ".join(_describe(fault) for fault in error.errors(include_url=False))
        raise ScenarioError(f"The paper broker's scenario: {faults}") from None
    except Refusal as refusal:
        raise ScenarioError(f"The paper broker's scenario: {refusal.detail}") from None


def commission_of(scenario: tuple[ScenarioRule, ...]) -> Commission:
    """Return the commission of the rule for orders without conditions, none without such a rule."""
    general = (rule.commission for rule in scenario if rule.match == OrderMatch())
    return next(general, NO_COMMISSION)


def _describe(fault: Any) -> str:
    place = list(fault["loc"])
    rule = f"rule {place.pop(0) + 1}" if place and isinstance(place[0], int) else "the list"
    return f"{'.'.join([rule, *map(str, place)])}: {fault['msg']}"

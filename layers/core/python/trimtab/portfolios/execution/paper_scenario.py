"""The scenario of the paper broker: what goes wrong, late or only in part, told beforehand in JSON.

A scenario is a list of rules; the first that fits an order is its rule, and an order that none fits is filled wholly
and at once. `infra/local/scenarios` has examples.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, TypeAdapter, ValidationError, model_validator

from trimtab.contracts.fields import Asset, Model, Money, Quantity, Weight, Whole
from trimtab.kernel import strict_json
from trimtab.kernel.errors import Refusal
from trimtab.portfolios.execution.broker import BrokerOrder
from trimtab.portfolios.portfolio.holdings import Side

Word = Annotated[str, Field(min_length=1, max_length=128)]


class ScenarioError(ValueError):
    """A text that is not a scenario: it names the rule, its member and what is wrong with it."""


class Match(Model):
    """Which orders a rule is for: those that have all that it names.

    `nth` counts the orders of an account in one symbol from 1, as they arrive: a reversal is the second after what it
    reverses. An order that never arrived is not counted.
    """

    symbol: Asset | None = None
    side: Side | None = None
    client_order_id: Word | None = None
    account: Word | None = None
    nth: Annotated[Whole, Field(ge=1)] | None = None

    def fits(self, account: str, order: BrokerOrder, nth: Callable[[], int]) -> bool:
        """Whether the order is one of them; `nth` is asked only where everything else fits."""
        asked = (
            (self.symbol, order.symbol),
            (self.side, order.side),
            (self.client_order_id, order.client_order_id),
            (self.account, account),
        )
        if any(wanted is not None and wanted != found for wanted, found in asked):
            return False
        return self.nth is None or self.nth == nth()


class Rule(Model):
    """What becomes of the orders that it is for.

    * `latency_seconds`: open for so long, then executed at the quote of the moment when somebody looks.
    * `refuse`: ended with this reason, nothing filled.
    * `fill_percent`: only so much is filled; then the order has ended, or with `ends: false` is open until cancelled.
    * `price_factor`: executed at the quote times this; the limit price holds against that.
    * `fee`: charged once an order, if anything was filled.
    * `time_out`: no answer to the submission, `before` or `after` it took effect, `times` often an order (1).
    * `note`: for the reader.
    """

    match: Match = Field(default_factory=Match)
    latency_seconds: Annotated[Quantity, Field(ge=0, le=86_400)] = Decimal(0)
    refuse: Word | None = None
    fill_percent: Weight | None = None
    ends: StrictBool = True
    price_factor: Annotated[Quantity, Field(gt=0, le=1_000)] = Decimal(1)
    fee: Annotated[Money, Field(ge=0)] = Decimal(0)
    time_out: Literal["before", "after"] | None = None
    times: Annotated[Whole, Field(ge=1, le=1_000)] = 1
    note: str | None = None

    @model_validator(mode="after")
    def _members_belong_together(self) -> Self:
        given = self.model_fields_set
        if "times" in given and self.time_out is None:
            raise ValueError("times says how often to time out; it needs time_out.")
        if "ends" in given and self.fill_percent is None:
            raise ValueError("ends says what follows a partial fill; it needs fill_percent.")
        if self.refuse is not None and given & {"fill_percent", "price_factor", "fee"}:
            raise ValueError("An order that is refused has no fill, price or fee.")
        return self

    @property
    def latency(self) -> timedelta:
        """How long the order is open before it is executed."""
        return timedelta(microseconds=int(self.latency_seconds * 1_000_000))

    def pack(self) -> str:
        """The rule as an order keeps it: what it is once for, it stays, whatever the scenario is later."""
        return self.model_dump_json(exclude_defaults=True, exclude={"match", "note"})


def unpack(text: str) -> Rule:
    """The rule that an order keeps."""
    return Rule.model_validate(strict_json.loads(text))


def parse_scenario(text: str) -> tuple[Rule, ...]:
    """The rules that the JSON text writes; `ScenarioError` where it is none."""
    try:
        return TypeAdapter(tuple[Rule, ...]).validate_python(strict_json.loads(text))
    except ValidationError as error:
        faults = "; ".join(_describe(fault) for fault in error.errors(include_url=False))
        raise ScenarioError(f"The paper broker's scenario: {faults}") from None
    except Refusal as refusal:
        raise ScenarioError(f"The paper broker's scenario: {refusal.detail}") from None


def _describe(fault: Any) -> str:
    place = list(fault["loc"])
    rule = f"rule {place.pop(0) + 1}" if place and isinstance(place[0], int) else "the list"
    return f"{'.'.join([rule, *map(str, place)])}: {fault['msg']}"

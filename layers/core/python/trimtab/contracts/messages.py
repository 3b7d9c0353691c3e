"""The messages on the queues: each model reads and writes itself."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from trimtab.contracts.events import CloudEvent
from trimtab.contracts.fields import Asset, Day, Identifier, Model, Month, Quantity, Time, Weights, Whole, constant
from trimtab.kernel import strict_json

M = TypeVar("M", bound=BaseModel)

_ENVELOPE = ("schema_version", "type")
_RECEIVED = {"received": True}


def _require_envelope(schema: dict[str, Any]) -> None:
    """Mark the envelope as required in the JSON Schema: its defaults are for the code that sends."""
    for name in _ENVELOPE:
        schema["properties"][name].pop("default", None)
    schema["required"] = [*_ENVELOPE, *(name for name in schema.get("required", ()) if name not in _ENVELOPE)]


class Message(Model):
    """A message on a queue. Code that sends leaves `schema_version` and `type` out; a received body must name both."""

    model_config = ConfigDict(json_schema_extra=_require_envelope)

    schema_version: Annotated[Literal[1], BeforeValidator(constant)] = 1
    type: str

    @model_validator(mode="before")
    @classmethod
    def _check_envelope(cls, body: Any, info: ValidationInfo) -> Any:
        if info.context == _RECEIVED and isinstance(body, Mapping):
            missing = [name for name in _ENVELOPE if name not in body]
            if missing:
                raise ValueError(f"The body does not name {' and '.join(missing)}.")
        return body

    @property
    def message_group(self) -> str | None:
        """The group in which SQS delivers the message, None where the sender has to name one."""
        return None

    def to_body(self) -> str:
        """Return the message as compact JSON: decimals and times as text, absent members left out."""
        return strict_json.dumps(self.model_dump(exclude_none=True))


class TenantMessage(Message):
    """A message of one tenant. The tenant is its group, so that one tenant's backlog does not hold up the others."""

    tenant_id: Identifier

    @property
    def message_group(self) -> str:
        """The tenant."""
        return self.tenant_id


def read_body(text: str, model: type[M]) -> M:
    """Return the message that a received body writes.

    Raises pydantic's `ValidationError` if the body does not fit the model, and a `Refusal` if the text is not JSON.
    """
    return model.model_validate(strict_json.loads(text), context=_RECEIVED)


class RebalanceRequested(TenantMessage):
    """A drift report on the queue `rebalance-requests`: what a user's portfolio has become, to be led back.

    `request_id` makes it idempotent within the portfolio. `as_of` is when the weights were true; without it, the
    time at which the message was sent. A sum other than 100 is understood and refused, with a recorded outcome.
    """

    type: Literal["rebalance.requested"] = "rebalance.requested"
    request_id: Identifier
    user_id: Identifier
    name: Identifier = "default"
    new_allocation: Weights
    as_of: Time | None = Field(default=None)


class RecalculationRequested(TenantMessage):
    """On the internal queue `recalculations`: a trade waits for all trades of its symbol to be folded with it."""

    type: Literal["recalculation.requested"] = "recalculation.requested"
    portfolio_id: Identifier
    job_id: Identifier


class QuoteBody(Model):
    """A price of one unit of a symbol, and when it was true."""

    symbol: Asset
    price: Annotated[Quantity, Field(gt=0)]
    as_of: Time
    source: Identifier | None = None


Quotes = Annotated[list[QuoteBody], Field(min_length=1, max_length=500)]


class QuoteReceived(Message):
    """On the queue `quotes`: prices of any symbols; the newest of each wins, and an older one is dropped.

    Market data belong to the platform, so a message names no tenant.
    """

    type: Literal["quote.received"] = "quote.received"
    quotes: Quotes


class CheckRequested(TenantMessage):
    """On the internal queue `checks`: a portfolio may have to be rebalanced, or its watches written again.

    `epoch` is the newest of the watches that a quote crossed; `rebalance_id` is the rebalance that a person asked for.
    """

    type: Literal["check.requested"] = "check.requested"
    portfolio_id: Identifier
    trigger: Literal["crossed", "due", "changed", "person"]
    epoch: Whole | None = None
    rebalance_id: Identifier | None = None


class ExecutionRequested(TenantMessage):
    """On the internal queue `rebalance-executions`: a planned rebalance has something to do."""

    type: Literal["execution.requested"] = "execution.requested"
    portfolio_id: Identifier
    rebalance_id: Identifier


class InsightReceived(TenantMessage):
    """On the queue `insights`: what a provider thinks of a selection; the newest one counts, an older one is dropped.

    `expected_value` is that of backing it, per unit of stake.
    """

    type: Literal["insight.received"] = "insight.received"
    market_id: Identifier
    selection_id: Identifier
    implied_probability: Annotated[Quantity, Field(gt=0, lt=1)]
    expected_value: Quantity
    momentum: Quantity
    as_of: Time


class SettlementRequested(TenantMessage):
    """On the internal queue `settlements`: a user's open orders in a closed market are to be settled; without a user,
    everybody's are to be asked for, from the place `after` in the index on.

    A `check` looks whether anybody after the user `after` has something left; those before had that many `orders`.
    `tries` is how often that was asked for in vain.
    """

    type: Literal["settlement.requested"] = "settlement.requested"
    market_id: Identifier
    user_id: Identifier | None = None
    after: str | None = None
    check: bool = False
    orders: Whole = 0
    tries: Whole = 0


class ValuationRequested(TenantMessage):
    """On the internal queue `valuations`: a portfolio's daily values are to be worked out from `since` on (without it,
    those that are missing), up to the last day that has ended."""

    type: Literal["valuation.requested"] = "valuation.requested"
    portfolio_id: Identifier
    since: Day | None = None


class ReportRequested(TenantMessage):
    """On the internal queue `reports`: the contacts of a portfolio are to get its report of a month (`2026-10`)."""

    type: Literal["report.requested"] = "report.requested"
    portfolio_id: Identifier
    month: Month


class BusEvent(Model):
    """A domain event as a rule of the bus puts it on a queue: an envelope, of which only the event matters."""

    model_config = ConfigDict(extra="ignore")

    detail: CloudEvent


PUBLIC: Mapping[str, tuple[str, type[Model]]] = {
    "rebalance.requested": ("rebalance-requests", RebalanceRequested),
    "quote.received": ("quotes", QuoteReceived),
    "insight.received": ("insights", InsightReceived),
}
"""The messages that others may send: the queue that takes each, and its model."""


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every public message, by its type."""
    return {type: model.model_json_schema() for type, (_, model) in PUBLIC.items()}

"""The messages on the queues: each model reads and writes itself."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationInfo, model_validator

from trimtab.contracts.events import CloudEvent
from trimtab.contracts.fields import (
    Asset,
    Day,
    FineQuantity,
    Identifier,
    Model,
    Month,
    Name,
    Time,
    Weights,
    Whole,
    constant,
)
from trimtab.kernel import strict_json

M = TypeVar("M", bound=BaseModel)

_ENVELOPE = ("schema_version", "type")
_RECEIVED = {"received": True}


def _require_envelope(schema: dict[str, Any]) -> None:
    """Mark the envelope as required in the JSON Schema; the defaults serve only the code that sends."""
    for name in _ENVELOPE:
        schema["properties"][name].pop("default", None)
    schema["required"] = [*_ENVELOPE, *(name for name in schema.get("required", ()) if name not in _ENVELOPE)]


class Message(Model):
    """A message on a queue. Code that sends leaves `schema_version` and `type` out; a received body must name both."""

    model_config = ConfigDict(json_schema_extra=_require_envelope)
    has_envelope: ClassVar[bool] = True
    """False for messages that are read without `schema_version` and `type`, too."""

    schema_version: Annotated[Literal[1], BeforeValidator(constant)] = 1
    type: str
    """The type of the message. Example: `rebalance.requested`"""

    @model_validator(mode="before")
    @classmethod
    def _check_envelope(cls, body: Any, info: ValidationInfo) -> Any:
        if cls.has_envelope and info.context == _RECEIVED and isinstance(body, Mapping):
            missing = [name for name in _ENVELOPE if name not in body]
            if missing:
                raise ValueError(f"The body does not name {' and '.join(missing)}.")
        return body

    @property
    def message_group(self) -> str | None:
        """The message group for SQS, None if the sender has to choose a group."""
        return None

    def to_body(self) -> str:
        """Return the message as compact JSON: decimals and times as text, absent members left out."""
        return strict_json.dumps(self.model_dump(exclude_none=True))


class TenantMessage(Message):
    """A message of a tenant. The tenant is the message group, so that a backlog of one tenant does not delay others."""

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
    """A drift report on the queue `rebalance-requests`: the weights that a user's portfolio has drifted to."""

    type: Literal["rebalance.requested"] = "rebalance.requested"
    request_id: Identifier
    """Makes the report idempotent within the portfolio: a report with the same id is the same report. Example:
    `drift-2026-11-21`"""
    user_id: Identifier
    name: Name = "default"
    new_allocation: Weights
    """The weights that the portfolio has drifted to, by asset in percent, zeros included. A sum other than 100, and a
    weight with more than 4 decimals or outside of 0 to 100, are rejected, with a recorded outcome."""
    normalise: StrictBool | None = None
    """True: weights with a sum from 99.99 to 100.01, or with up to 18 decimals, are corrected to 4 decimals and to the
    sum 100, by largest remainder. Example: `true`"""
    as_of: Time | None = Field(default=None)
    """The time of the weights (RFC 3339); the newest report counts. Default: the time at which the message was sent.
    Example: `2026-11-20T15:30:00Z`"""


class RecalculationRequested(TenantMessage):
    """A request on the internal queue `recalculations`: recompute a holding from all trades, or continue an import."""

    type: Literal["recalculation.requested"] = "recalculation.requested"
    portfolio_id: Identifier
    job_id: Identifier


class QuoteBody(Model):
    """The price of one unit of a symbol at a time."""

    symbol: Asset
    price: Annotated[FineQuantity, Field(gt=0)]
    """The price of one unit in the `quote_unit` of the asset, above 0. Up to 18 decimals are read; the price is rounded
    half up to 9 decimals, and is at least 0.000000001. Example: `151.40`"""
    as_of: Time
    """The time of the price (RFC 3339), at most 5 minutes in the future. Example: `2026-11-20T15:30:00Z`"""
    source: Identifier | None = None
    """The source of the price; null or absent where it is not named. Example: `alpaca`"""


Quotes = Annotated[list[QuoteBody], Field(min_length=1, max_length=500)]


class QuoteReceived(Message):
    """Prices of any symbols on the queue `quotes`; the newest quote of each symbol wins, older quotes are discarded.

    Market data belong to the platform, so the message names no tenant.
    """

    type: Literal["quote.received"] = "quote.received"
    quotes: Quotes
    """The quotes, 1 to 500, of any symbols."""


class CheckRequested(TenantMessage):
    """A request on the internal queue `checks`: check a portfolio, which may need a rebalance or new price watches.

    `epoch` is the newest epoch of the watches that a quote crossed; `rebalance_id` names a manually requested
    rebalance.
    """

    type: Literal["check.requested"] = "check.requested"
    portfolio_id: Identifier
    trigger: Literal["price", "schedule", "change", "manual"]
    epoch: Whole | None = None
    rebalance_id: Identifier | None = None


class ExecutionRequested(TenantMessage):
    """A request on the internal queue `rebalance-executions`: perform the next step of a planned rebalance."""

    type: Literal["execution.requested"] = "execution.requested"
    portfolio_id: Identifier
    rebalance_id: Identifier


class InsightReceived(Message):
    """A provider's estimate for a selection on the queue `insights`; the newest counts, older estimates are discarded.

    The plain form has no `schema_version` and no `type`. `expected_value` is the expected profit of backing the
    selection, per unit of stake.
    """

    model_config = ConfigDict(json_schema_extra={})
    has_envelope = False

    type: Literal["insight.received"] = "insight.received"
    tenant_id: Identifier | None = None
    """The tenant of the estimate. Default: the tenant of the sender, where the sender has a single one."""
    market_id: Identifier
    selection_id: Identifier
    implied_probability: Annotated[FineQuantity, Field(gt=0, lt=1)]
    expected_value: FineQuantity
    momentum: FineQuantity
    as_of: Time | None = None
    """The time of the estimate (RFC 3339). Default: the time at which the message was sent. Example:
    `2026-11-20T15:30:00Z`"""


class SettlementRequested(TenantMessage):
    """A request on the internal queue `settlements`: settle the open orders of a user in a market with results.

    Without a user, such requests are sent for all users, from the position `after` in the index on. A `check` looks
    for users after `after` with open orders; earlier users had `orders` open orders. `tries` counts failed attempts.

    A user whose settlement is corrected has `number`, that of the market's results: the orders up to the place `after`
    are corrected, and were `orders` orders.
    """

    type: Literal["settlement.requested"] = "settlement.requested"
    market_id: Identifier
    user_id: Identifier | None = None
    after: str | None = None
    check: StrictBool = False
    orders: Whole = 0
    tries: Whole = 0
    number: Whole | None = None


class ValuationRequested(TenantMessage):
    """A request on the internal queue `valuations`: compute the daily values of a portfolio.

    The days are those from `since` on (by default the missing days) to the last day that has ended. With
    `unless_valued`, nothing is computed where these days follow from the present version of the portfolio already.
    """

    type: Literal["valuation.requested"] = "valuation.requested"
    portfolio_id: Identifier
    since: Day | None = None
    unless_valued: StrictBool | None = None

    @property
    def message_group(self) -> str:
        """The portfolio, so that a backlog of one portfolio does not delay others."""
        return self.portfolio_id


class ReportRequested(TenantMessage):
    """A request on the internal queue `reports`: mail the report of a month (`2026-10`) to a portfolio's contacts."""

    type: Literal["report.requested"] = "report.requested"
    portfolio_id: Identifier
    month: Month


class DeliveryRequested(TenantMessage):
    """A request on the internal queue `webhook-deliveries`: deliver the new events of a webhook.

    With a `sequence` only that event is delivered, as attempt number `attempt`. `fence` is the fence of the lease under
    which the sender of the message worked: the receiver continues the work.
    """

    type: Literal["delivery.requested"] = "delivery.requested"
    webhook_id: Identifier
    fence: Whole | None = None
    sequence: Whole | None = None
    attempt: Whole | None = None


MAX_PUSHED_EVENTS = 20


class PushRequested(TenantMessage):
    """A request on the internal queue `event-pushes`: push logged events to the WebSocket connections of the tenant.

    `sequences` are the numbers of the events in the log of the tenant.
    """

    type: Literal["push.requested"] = "push.requested"
    sequences: Annotated[list[Whole], Field(min_length=1, max_length=MAX_PUSHED_EVENTS)]


class BusEvent(Model):
    """A domain event in the envelope in which an EventBridge rule delivers events to a queue."""

    model_config = ConfigDict(extra="ignore")

    detail: CloudEvent


class PublishedAlert(Model):
    """A message of the SNS alerts topic in the envelope in which SNS delivers messages to a queue."""

    model_config = ConfigDict(extra="ignore")

    subject: Annotated[str | None, Field(alias="Subject")] = None
    message: Annotated[str, Field(alias="Message")]


PUBLIC: Mapping[str, tuple[str, type[Model]]] = {
    "rebalance.requested": ("rebalance-requests", RebalanceRequested),
    "quote.received": ("quotes", QuoteReceived),
    "insight.received": ("insights", InsightReceived),
}
"""The messages that other systems may send: queue and model by message type."""


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every public message, by message type."""
    return {type: model.model_json_schema() for type, (_, model) in PUBLIC.items()}

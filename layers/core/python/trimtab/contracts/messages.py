"""The messages on the queues."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from trimtab.contracts.events import CloudEvent
from trimtab.contracts.fields import Asset, Day, Identifier, Model, Month, Quantity, Time, Weights, Whole, constant


class RebalanceRequested(Model):
    """A drift report on the queue `rebalance-requests`: what a user's portfolio has become, to be led back.

    `request_id` makes it idempotent within the portfolio. `as_of` is when the weights were true; without it, the
    time at which the message was sent. A sum other than 100 is understood and refused, with a recorded outcome.
    """

    schema_version: Annotated[Literal[1], BeforeValidator(constant)]
    type: Literal["rebalance.requested"]
    tenant_id: Identifier
    request_id: Identifier
    user_id: Identifier
    name: Identifier = "default"
    new_allocation: Weights
    as_of: Time | None = Field(default=None)


class RecalculationRequested(Model):
    """On the internal queue `recalculations`: a trade waits for all trades of its symbol to be folded with it."""

    schema_version: Annotated[Literal[1], BeforeValidator(constant)]
    type: Literal["recalculation.requested"]
    tenant_id: Identifier
    portfolio_id: Identifier
    job_id: Identifier


class QuoteBody(Model):
    """A price of one unit of a symbol, and when it was true."""

    symbol: Asset
    price: Annotated[Quantity, Field(gt=0)]
    as_of: Time
    source: Identifier | None = None


Quotes = Annotated[list[QuoteBody], Field(min_length=1, max_length=500)]


class QuoteReceived(Model):
    """On the queue `quotes`: prices of any symbols; the newest of each wins, and an older one is dropped.

    Market data belong to the platform, so a message names no tenant.
    """

    schema_version: Annotated[Literal[1], BeforeValidator(constant)]
    type: Literal["quote.received"]
    quotes: Quotes


class CheckRequested(Model):
    """On the internal queue `checks`: a portfolio may have to be rebalanced, or its watches written again.

    `epoch` is the newest of the watches that a quote crossed; `rebalance_id` is the rebalance that a person asked for.
    """

    schema_version: Annotated[Literal[1], BeforeValidator(constant)]
    type: Literal["check.requested"]
    tenant_id: Identifier
    portfolio_id: Identifier
    trigger: Literal["crossed", "due", "changed", "person"]
    epoch: Whole | None = None
    rebalance_id: Identifier | None = None


class ExecutionRequested(Model):
    """On the internal queue `rebalance-executions`: a planned rebalance has something to do."""

    schema_version: Annotated[Literal[1], BeforeValidator(constant)]
    type: Literal["execution.requested"]
    tenant_id: Identifier
    portfolio_id: Identifier
    rebalance_id: Identifier


class InsightReceived(Model):
    """On the queue `insights`: what a provider thinks of a selection; the newest one counts, an older one is dropped.

    `expected_value` is that of backing it, per unit of stake.
    """

    schema_version: Annotated[Literal[1], BeforeValidator(constant)]
    type: Literal["insight.received"]
    tenant_id: Identifier
    market_id: Identifier
    selection_id: Identifier
    implied_probability: Annotated[Quantity, Field(gt=0, lt=1)]
    expected_value: Quantity
    momentum: Quantity
    as_of: Time


class SettlementRequested(Model):
    """On the internal queue `settlements`: a user's open orders in a closed market are to be settled; without a user,
    everybody's are to be asked for, from the place `after` in the index on.

    A `check` looks whether anybody after the user `after` has something left; those before had that many `orders`.
    `tries` is how often that was asked for in vain.
    """

    schema_version: Annotated[Literal[1], BeforeValidator(constant)]
    type: Literal["settlement.requested"]
    tenant_id: Identifier
    market_id: Identifier
    user_id: Identifier | None = None
    after: str | None = None
    check: bool = False
    orders: Whole = 0
    tries: Whole = 0


class ValuationRequested(Model):
    """On the internal queue `valuations`: a portfolio's daily values are to be worked out from `since` on (without it,
    those that are missing), up to the last day that has ended."""

    schema_version: Annotated[Literal[1], BeforeValidator(constant)]
    type: Literal["valuation.requested"]
    tenant_id: Identifier
    portfolio_id: Identifier
    since: Day | None = None


class ReportRequested(Model):
    """On the internal queue `reports`: the contacts of a portfolio are to get its report of a month (`2026-10`)."""

    schema_version: Annotated[Literal[1], BeforeValidator(constant)]
    type: Literal["report.requested"]
    tenant_id: Identifier
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

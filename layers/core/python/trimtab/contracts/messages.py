"""The messages on the public queues."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from trimtab.contracts.fields import Identifier, Model, Time, Weights, constant


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


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every public message, by its type."""
    return {"rebalance.requested": RebalanceRequested.model_json_schema()}

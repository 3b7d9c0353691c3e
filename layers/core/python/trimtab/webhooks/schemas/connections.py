"""Messages of clients over the WebSocket, and the messages that answer them."""

from typing import Any, Literal

from trimtab.contracts.fields import Identifier, Model
from trimtab.webhooks.domain.connections import Subscription


class Subscribe(Model):
    """A subscription to the events of one portfolio, of one user, or, with neither, all that the caller may see."""

    action: Literal["subscribe"]
    """The kind of the message, always `subscribe`."""
    portfolio_id: Identifier | None = None
    user_id: Identifier | None = None


def subscribed(subscription: Subscription) -> dict[str, Any]:
    """Return the message that confirms a subscription."""
    members = {"portfolio_id": subscription.portfolio_id, "user_id": subscription.user_id}
    return {"type": "subscribed", **{name: value for name, value in members.items() if value is not None}}


def error(detail: str) -> dict[str, Any]:
    """Return the message that refuses a message of a client; the detail says what to do."""
    return {"type": "error", "detail": detail}

"""WebSocket connections of a tenant's clients, and the events that each of them is sent."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import FORM, UnknownForm, form_version, from_attributes, to_attributes
from trimtab.kernel.errors import Conflict
from trimtab.webhooks.domain.event_log import LogEntry

MAX_CONNECTIONS = 500
MAX_SUBSCRIPTIONS = 20
MAX_LIFETIME = timedelta(hours=2)
"""The time after which API Gateway closes every WebSocket connection."""

CONNECTION = "CONNECTION#"


class Subscription(Struct, frozen=True, omit_defaults=True):
    """The events that a client asks for: of one portfolio, of one user, or, with neither, all that it may see."""

    portfolio_id: str | None = None
    user_id: str | None = None

    def covers(self, event: Mapping[str, Any]) -> bool:
        """Return True if the data of the event name the portfolio and the user that the subscription names."""
        wanted = {"portfolio_id": self.portfolio_id, "user_id": self.user_id}
        return all(value is None or event["data"].get(name) == value for name, value in wanted.items())


class Connection(Record, frozen=True, kw_only=True):
    """An open connection. `user_id` is the end user of the token, None for a token of the platform.

    `expires_at` (seconds since 1970) is the expiry of the token, at most two hours after the connect.
    """

    tenant_id: str
    connection_id: str
    expires_at: int
    user_id: str | None = None
    subscriptions: tuple[Subscription, ...] = ()

    def is_expired(self, now: datetime) -> bool:
        """Return True once the token has expired; DynamoDB deletes the item some time later."""
        return now.timestamp() >= self.expires_at

    def wants(self, entry: LogEntry) -> bool:
        """Return True if a subscription covers the event; an end user gets the events about that user only."""
        is_visible = self.user_id is None or entry.user_id == self.user_id
        return is_visible and any(subscription.covers(entry.event) for subscription in self.subscriptions)

    def subscribe(self, subscription: Subscription) -> "Connection":
        """Return the connection with the subscription, the same connection if it has the subscription.

        Raises `Conflict` if the connection has as many subscriptions as are permitted.
        """
        if subscription in self.subscriptions:
            return self
        if len(self.subscriptions) >= MAX_SUBSCRIPTIONS:
            raise Conflict(
                "too_many_subscriptions",
                f"A connection has at most {MAX_SUBSCRIPTIONS} subscriptions. Open another connection.",
            )
        return replace(self, subscriptions=(*self.subscriptions, subscription), version=self.version + 1)

    def to_item(self) -> dict[str, Any]:
        """Return the item; DynamoDB deletes the item after the expiry."""
        return {**to_attributes(self), **connection_key(self.tenant_id, self.connection_id), **self.record_attributes()}

    def tenant_item(self) -> dict[str, Any]:
        """Return the item that leads from the id of the connection, all that API Gateway passes, to the tenant."""
        key = connection_tenant_key(self.connection_id)
        return {**key, FORM: 1, "tenant_id": self.tenant_id, "expires_at": self.expires_at}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Connection":
        """Return the connection in an item; raises `UnknownForm`."""
        match form_version(item):
            case 1:
                return from_attributes({**item, "events": ()}, cls)
            case version:
                raise UnknownForm("connection", version)


def new_connection(
    tenant_id: str, connection_id: str, user_id: str | None, token_expires_at: int, now: datetime
) -> Connection:
    """Return a connection without subscriptions: nothing is pushed before the client sends the first one."""
    end = min(token_expires_at, int((now + MAX_LIFETIME).timestamp()))
    return Connection(tenant_id=tenant_id, connection_id=connection_id, user_id=user_id, expires_at=end)


def connection_key(tenant_id: str, connection_id: str) -> dict[str, str]:
    """Return the key of a connection among those of its tenant."""
    return {"pk": f"T#{tenant_id}#CONNECTIONS", "sk": f"{CONNECTION}{connection_id}"}


def connection_tenant_key(connection_id: str) -> dict[str, str]:
    """Return the key of the item that names the tenant of a connection."""
    return {"pk": f"{CONNECTION}{connection_id}", "sk": "TENANT"}

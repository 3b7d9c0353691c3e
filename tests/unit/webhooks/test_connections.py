"""Golden items of connections, and the events that a subscription covers."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.contracts.stored_form import UnknownForm
from trimtab.kernel.errors import Conflict
from trimtab.runtime.dynamodb.client import deserialize, serialize
from trimtab.webhooks.domain.connections import (
    MAX_LIFETIME,
    MAX_SUBSCRIPTIONS,
    Connection,
    Subscription,
    new_connection,
)
from trimtab.webhooks.domain.event_log import LogEntry

GOLDEN = Path(__file__).parents[2] / "golden/webhooks"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
EXPIRY = int(NOW.timestamp()) + 600
CONNECTION = new_connection("demo", "JKJaWeGaPHcCJxQ=", None, EXPIRY, NOW)
OF_USER = new_connection("demo", "JKJaWeGaPHcCJxQ=", "ada", EXPIRY, NOW)
SUBSCRIBED = OF_USER.subscribe(Subscription()).subscribe(Subscription("p1", "ada"))
ITEMS = {
    "connection": CONNECTION.to_item(),
    "connection_subscribed": SUBSCRIBED.to_item(),
    "connection_tenant": CONNECTION.tenant_item(),
}
NAMES = st.sampled_from(["a", "b", "c"])
SUBSCRIPTIONS = st.lists(st.builds(Subscription, st.none() | NAMES, st.none() | NAMES), unique=True)


def golden(name: str) -> Any:
    """Return a golden item."""
    return json.loads((GOLDEN / f"{name}.v1.json").read_text())


def entry(**data: str) -> LogEntry:
    """Return a logged event with these data."""
    return LogEntry("demo", 1, {"id": "e1", "type": "portfolio.updated", "data": data}, NOW)


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_is_written_as_stored(name: str) -> None:
    assert deserialize(serialize(ITEMS[name])) == golden(name)


def test_items_are_read_as_stored_and_unknown_forms_are_refused() -> None:
    assert Connection.from_item({**golden("connection"), "added_later": "x"}) == CONNECTION
    assert Connection.from_item(golden("connection_subscribed")) == SUBSCRIBED
    with pytest.raises(UnknownForm):
        Connection.from_item({**golden("connection"), "v": 2})


def test_a_connection_ends_with_its_token_or_after_two_hours() -> None:
    assert CONNECTION.expires_at == EXPIRY
    assert not CONNECTION.is_expired(NOW + timedelta(seconds=599))
    assert CONNECTION.is_expired(NOW + timedelta(seconds=600))
    late = new_connection("demo", "c1", None, EXPIRY + 86_400, NOW)
    assert late.is_expired(NOW + MAX_LIFETIME)


def test_a_repeated_subscription_changes_nothing_and_one_too_many_is_refused() -> None:
    full = CONNECTION
    for number in range(MAX_SUBSCRIPTIONS):
        full = full.subscribe(Subscription(f"p{number}"))
    assert full.subscribe(Subscription("p0")) is full
    with pytest.raises(Conflict, match="too_many_subscriptions"):
        full.subscribe(Subscription())


@given(SUBSCRIPTIONS, st.none() | NAMES, st.none() | NAMES, st.none() | NAMES)
def test_a_connection_wants_what_a_subscription_covers_and_its_user_may_see(
    subscriptions: list[Subscription], owner: str | None, portfolio_id: str | None, user_id: str | None
) -> None:
    connection = new_connection("demo", "c1", owner, EXPIRY, NOW)
    for subscription in subscriptions:
        connection = connection.subscribe(subscription)
    members = {"portfolio_id": portfolio_id, "user_id": user_id}
    logged = entry(**{name: value for name, value in members.items() if value is not None})
    covered = any(
        each.portfolio_id in {None, portfolio_id} and each.user_id in {None, user_id} for each in subscriptions
    )
    assert connection.wants(logged) == (covered and owner in {None, user_id})

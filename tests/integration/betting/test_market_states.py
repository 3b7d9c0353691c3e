"""Suspended, reopened and closed markets: an order that races a suspension is placed before or refused."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from tests.support.betting import (
    MARKET,
    Bettor,
    betting_store,
    count_statuses,
    process_stream_and_queue,
    settle_market,
    stored_orders,
)
from tests.support.moto_state import commits
from tests.support.system import BETTING_TABLE, Answer, System, authorized
from tests.support.trading import refused
from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.domain.market_states import MarketAction, MarketState, MarketWithoutResults
from trimtab.contracts.events import unpack_events
from trimtab.kernel.clock import utc_now

END_USER = authorized(user_id="1")


def change(system: System, action: str, market_id: str = MARKET, **options: Any) -> Answer:
    """Suspend, reopen or close a market."""
    return system.http("POST", f"/markets/{market_id}/{action}", **options)


def status_of(system: System, market_id: str = MARKET) -> str:
    """Return the status of a market as an end user reads it."""
    return str(system.http("GET", f"/markets/{market_id}", authorizer=END_USER).json["status"])


def events_of_market() -> list[tuple[str, str]]:
    """Return type and state of every event of a market, in order."""
    images = [record["dynamodb"]["NewImage"] for record in commits(BETTING_TABLE)]
    texts = [image["events"]["S"] for image in images if image["sk"]["S"] == "MARKET" and "events" in image]
    return [(event.type, event.data["state"]) for text in texts for event in unpack_events(text)]


def test_a_suspended_market_takes_no_orders_and_no_cancellation_by_a_user_until_it_reopens(system: System) -> None:
    bettor = Bettor(system)
    order_id = bettor.place_successfully("BACK", 10, "3.50")
    assert status_of(system) == "OPEN"
    assert change(system, "suspend").json["status"] == status_of(system) == "SUSPENDED"
    refused(bettor.place("BACK", 10, "3.50", key="new"), 409, "market_suspended")
    cancel = f"/orders/{order_id}/cancel"
    refused(system.http("POST", cancel, authorizer=END_USER), 409, "market_suspended")
    assert change(system, "reopen").json["status"] == status_of(system) == "OPEN"
    assert bettor.place("BACK", 10, "3.50", key="new").status == 201
    assert system.http("POST", cancel, authorizer=END_USER).status == 200
    assert count_statuses() == {"OPEN": 1, "CANCELLED": 1}
    assert bettor.compare_totals().is_consistent
    assert events_of_market() == [("market.suspended", "SUSPENDED"), ("market.reopened", "OPEN")]


def test_the_platform_cancels_and_settles_orders_of_a_suspended_market(system: System) -> None:
    bettor = Bettor(system)
    one, two = (bettor.place_successfully("BACK", 10, "3.50") for _ in range(2))
    change(system, "suspend")
    assert bettor.cancel(one).status == 200
    assert bettor.settle(two, won=True).status == 200
    assert bettor.compare_totals().is_consistent


def test_a_closed_market_waits_for_results_and_can_be_reopened_or_settled(system: System) -> None:
    bettor = Bettor(system)
    bettor.place_successfully("BACK", 10, "3.50")
    for action, status in (("close", "CLOSED"), ("reopen", "OPEN"), ("suspend", "SUSPENDED"), ("close", "CLOSED")):
        assert change(system, action).json["status"] == status
    refused(bettor.place("BACK", 10, "3.50", key="new"), 409, "market_closed")
    refused(change(system, "suspend"), 409, "market_closed")
    assert settle_market(system, ["home"]).status == 202
    assert status_of(system) == "SETTLING"
    process_stream_and_queue(system)
    assert status_of(system) == "SETTLED"
    assert (bettor.metrics()["profit"], bettor.compare_totals().is_consistent) == ("25.00", True)
    for action in MarketAction:
        refused(change(system, action), 409, "market_settled")


@pytest.mark.parametrize("action", ["suspend", "close"])
def test_a_repeated_change_answers_the_same_and_publishes_nothing(system: System, action: str) -> None:
    first, again = change(system, action), change(system, action)
    assert (again.status, again.json) == (200, first.json)
    assert len(events_of_market()) == len(commits(BETTING_TABLE)) == 1


def test_only_the_platform_changes_a_market_by_a_known_action(system: System) -> None:
    refused(change(system, "suspend", authorizer=END_USER), 403, "not_for_end_users")
    assert change(system, "explode").status == 400
    assert (change(system, "reopen").status, commits(BETTING_TABLE)) == (200, [])


def suspend(system: System) -> None:
    """Suspend the market."""
    assert change(system, "suspend").status == 200


def settle(system: System) -> None:
    """Settle the market."""
    assert settle_market(system, ["home"]).status == 202


RACES: list[tuple[Callable[[System], None], str]] = [(suspend, "market_suspended"), (settle, "market_closed")]


@pytest.mark.parametrize(("disturb", "reason"), RACES)
@pytest.mark.parametrize("was_changed", [False, True])
def test_an_order_whose_market_is_suspended_between_read_and_write_is_refused(
    system: System, disturb: Callable[[System], None], reason: str, was_changed: bool
) -> None:
    if was_changed:
        change(system, "suspend")
        change(system, "reopen")
    original, disturbed = BettingStore.change_orders, list[bool]()

    def place(self: BettingStore, *arguments: Any, **options: Any) -> None:
        if not disturbed:
            disturbed.append(True)
            disturb(system)
        original(self, *arguments, **options)

    with mock.patch.object(BettingStore, "change_orders", place):
        refused(Bettor(system).place("BACK", 10, "3.50", key="k"), 409, reason)
    assert stored_orders() == []


@pytest.mark.parametrize(("disturb", "reason"), RACES)
def test_a_cancellation_by_a_user_whose_market_is_suspended_between_read_and_write_is_refused(
    system: System, disturb: Callable[[System], None], reason: str
) -> None:
    order_id = Bettor(system).place_successfully("BACK", 10, "3.50")
    original, disturbed = BettingStore.change_orders, list[bool]()

    def write(self: BettingStore, *arguments: Any, **options: Any) -> None:
        if not disturbed:
            disturbed.append(True)
            disturb(system)
        original(self, *arguments, **options)

    with mock.patch.object(BettingStore, "change_orders", write):
        refused(system.http("POST", f"/orders/{order_id}/cancel", authorizer=END_USER), 409, reason)
    assert count_statuses() == {"OPEN": 1}


def test_a_market_that_reopens_between_read_and_write_takes_the_order(system: System) -> None:
    original, disturbed = BettingStore.change_orders, list[bool]()

    def place(self: BettingStore, *arguments: Any, **options: Any) -> None:
        if not disturbed:
            disturbed.append(True)
            suspend(system)
            change(system, "reopen")
        original(self, *arguments, **options)

    with mock.patch.object(BettingStore, "change_orders", place):
        assert Bettor(system).place("BACK", 10, "3.50", key="k").status == 201


def test_the_settlement_of_a_market_that_was_suspended_follows_on_its_version(system: System) -> None:
    suspend(system)
    market = MarketWithoutResults(tenant_id="demo", market_id=MARKET)
    stored = betting_store().read_market("demo", MARKET)
    assert isinstance(stored, MarketWithoutResults)
    assert (stored.state, stored.version) == (MarketState.SUSPENDED, 1)
    assert market.change(MarketAction.SUSPEND, by="p", now=utc_now()).version == 1
    settle(system)
    closed = betting_store().get_market("demo", MARKET)
    assert closed is not None
    assert closed.version == 2
    process_stream_and_queue(system)
    settled = betting_store().get_market("demo", MARKET)
    assert settled is not None
    assert (settled.version, settled.settled_at is None) == (3, False)

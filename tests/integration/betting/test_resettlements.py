"""Corrected results: compensating entries, and positions, metrics and commissions that follow by the difference."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from functions.betting_on_settlement_requested import handler as settlement_function
from tests.integration.betting.test_market_settlements import settlement_record
from tests.support.betting import (
    MARKET,
    Bettor,
    betting_store,
    process_stream,
    process_stream_and_queue,
    settle_market,
    stored_orders,
)
from tests.support.moto_state import commits, take_messages
from tests.support.system import BETTING_TABLE, Answer, System, authorized
from tests.support.trading import refused
from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.domain.markets import MAX_RESETTLEMENTS
from trimtab.betting.service import settlements as service
from trimtab.contracts.events import unpack_events
from trimtab.kernel.money import ZERO


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    """Let repeated checks arrive at once."""
    with mock.patch.object(service, "FIRST_WAIT_SECONDS", 0):
        yield


def correct(system: System, winners: list[str], reason: str = "A wrong result.", **members: Any) -> Answer:
    """Send a correction of the results of the market; nothing is processed."""
    return system.http("POST", f"/markets/{MARKET}/resettle", {"winners": winners, "reason": reason, **members})


def resettled_events() -> list[Any]:
    """Return the data of every event `order.resettled`, in order."""
    images = [record["dynamodb"]["NewImage"] for record in commits(BETTING_TABLE)]
    events = [event for image in images if "events" in image for event in unpack_events(image["events"]["S"])]
    return [event.data for event in events if event.type == "order.resettled"]


def settled_market(system: System) -> tuple[Bettor, Bettor]:
    """Return two users of a market that `home` won, settled with a commission of 5 %.

    User 1 earns 25 and 20 less a commission of 2.25; user 2 loses 25.
    """
    one, two = Bettor(system, "1"), Bettor(system, "2")
    one.place_successfully("BACK", 10, "3.50", "home")
    one.place_successfully("LAY", 20, "3.00", "draw")
    two.place_successfully("LAY", 10, "3.50", "home")
    settle_market(system, ["home"], commission_rate=5)
    process_stream_and_queue(system)
    assert (one.metrics()["profit"], two.metrics()["profit"]) == ("42.75", "-25.00")
    return one, two


def figures(bettor: Bettor) -> tuple[str, str, str, str]:
    """Return profit, commission, payout and commission of the market of a user, after comparing the totals."""
    assert bettor.compare_totals().is_consistent
    metrics = bettor.metrics()
    return metrics["profit"], metrics["commission"], metrics["total_payout"], bettor.position()["market_commission"]


def test_a_market_is_resettled_twice_and_every_figure_follows(system: System) -> None:
    one, two = settled_market(system)
    first = correct(system, ["draw"], "The goal did not count.")
    assert (first.status, first.json["status"], first.json["number"]) == (202, "SETTLING", 2)
    process_stream_and_queue(system)
    # User 1: -10 and -40, the commission is returned. User 2: 10 less 5 %.
    assert figures(one) == ("-50.00", "0.00", "0.00", "0.00")
    assert figures(two) == ("9.50", "0.50", "35.00", "0.50")
    assert correct(system, ["home", "draw"], "Shared.", number_of_winners=1, commission_rate=2).status == 202
    process_stream_and_queue(system)
    # User 1: 12.50 - 5 and the opposite of 20 - 10. User 2: the opposite of 12.50 - 5.
    assert figures(one) == ("-2.50", "0.00", "47.50", "0.00")
    assert figures(two) == ("-7.50", "0.00", "17.50", "0.00")
    done = one.read(f"/markets/{MARKET}/settlement")
    assert (done["status"], done["orders"], done["number"], done["reason"]) == ("SETTLED", 3, 3, "Shared.")
    replaced = [(each["winners"], each["commission_rate"], each["reason"]) for each in done["replaced"]]
    assert replaced == [(["home"], "5", None), (["draw"], "5", "The goal did not count.")]


def test_each_correction_is_an_entry_that_compensates_and_publishes_an_event(system: System) -> None:
    one, _ = settled_market(system)
    correct(system, ["draw"], "The goal did not count.")
    process_stream_and_queue(system)
    correct(system, ["home", "draw"], "Shared.", number_of_winners=1)
    process_stream_and_queue(system)
    home = next(order for order in one.read("/orders", user_id="1")["items"] if order["selection_id"] == "home")
    entries = [
        (each["result_before"], each["payout_before"], each["payout_change"], each["reason"], each["resettled_by"])
        for each in home["resettlements"]
    ]
    by = home["settlement"]["settled_by"]
    assert entries == [
        ("won", "35.00", "-35.00", "The goal did not count.", by),
        ("lost", "0.00", "17.50", "Shared.", by),
    ]
    assert (home["payout"], home["pnl"], home["status"]) == ("17.50", "7.50", "SETTLED")
    events = [event for event in resettled_events() if event["id"] == home["id"]]
    assert [(event["pnl_change"], event["pnl"], event["reason"]) for event in events] == [
        ("-35.00", "-10.00", "The goal did not count."),
        ("17.50", "7.50", "Shared."),
    ]


def test_the_entries_and_the_first_settlement_sum_to_the_present_one(system: System) -> None:
    settled_market(system)
    for winners in (["draw"], ["home"], [], ["home"]):
        correct(system, winners)
        process_stream_and_queue(system)
    for item in stored_orders():
        order = betting_store().get_order("demo", item["pk"]["S"].rpartition("#")[2])
        assert order is not None
        assert order.settlement is not None
        first = order.resettlements[0].replaced if order.resettlements else order.settlement
        change = sum((each.payout_change for each in order.resettlements), ZERO)
        assert first.payout + change == order.payout
        assert first.settled_at <= order.settlement.settled_at


def test_a_repeated_correction_answers_the_same_and_changes_nothing(system: System) -> None:
    settled_market(system)
    first, again = correct(system, ["draw"]), correct(system, ["draw"])
    assert (first.status, again.status, first.json) == (202, 202, again.json)
    process_stream_and_queue(system)
    written = len(commits(BETTING_TABLE))
    assert correct(system, ["draw"]).json["status"] == "SETTLED"
    for record in (settlement_record("1"), settlement_record("2"), settlement_record(check=True)):
        assert system.invoke_worker(record, worker=settlement_function) == set()
    assert len(commits(BETTING_TABLE)) == written
    assert len(resettled_events()) == 3


def test_a_correction_is_refused_while_the_market_is_open_or_settling_and_after_ten(system: System) -> None:
    refused(correct(system, ["home"]), 409, "not_settled")
    one, _ = settled_market(system)
    correct(system, ["draw"])
    refused(correct(system, ["home"]), 409, "market_settling")
    order_id = one.read("/orders", user_id="1")["items"][0]["id"]
    body = {"won": True, "reason": "x"}
    refused(system.http("POST", f"/orders/{order_id}/resettle", body), 409, "market_settling")
    process_stream_and_queue(system)
    for number in range(1, MAX_RESETTLEMENTS):
        assert correct(system, ["home"] if number % 2 else ["draw"]).status == 202
        process_stream_and_queue(system)
    refused(correct(system, ["away"]), 409, "too_many_resettlements")
    assert one.compare_totals().is_consistent


def test_corrections_are_for_the_platform_and_need_a_reason(system: System) -> None:
    settled_market(system)
    body = {"winners": ["draw"], "reason": "x"}
    own = authorized(user_id="1")
    refused(system.http("POST", f"/markets/{MARKET}/resettle", body, authorizer=own), 403, "not_for_end_users")
    assert system.http("POST", f"/markets/{MARKET}/resettle", {"winners": ["draw"]}).status == 400
    assert system.http("POST", f"/markets/{MARKET}/resettle", {"reason": "x"}).status == 400
    refused(correct(system, ["home", "draw"]), 422, "number_of_winners_missing")


def test_orders_cancelled_or_settled_by_themselves_stay_as_they_are(system: System) -> None:
    bettor = Bettor(system)
    cancelled, alone = (bettor.place_successfully("BACK", 10, "3.50") for _ in range(2))
    bettor.cancel(cancelled)
    bettor.settle(alone, result="half_won")
    bettor.place_successfully("BACK", 10, "3.50")
    settle_market(system, ["home"])
    process_stream_and_queue(system)
    correct(system, ["draw"])
    process_stream_and_queue(system)
    assert figures(bettor)[0] == "2.50"  # 12.50 - 10
    assert len(resettled_events()) == 1


def test_a_single_order_is_corrected_and_the_commission_of_its_market_follows(system: System) -> None:
    one, two = settled_market(system)
    home = next(order for order in one.read("/orders", user_id="1")["items"] if order["selection_id"] == "home")
    body = {"result": "half_won", "reason": "Abandoned at half-time."}
    answer = system.http("POST", f"/orders/{home['id']}/resettle", body)
    assert (answer.status, answer.json["pnl"], answer.json["order_result"]) == (200, "12.50", "won")
    assert [each["payout_change"] for each in answer.json["resettlements"]] == ["-12.50"]
    # 12.50 + 20 less 5 %, 1.625 rounded half up
    assert figures(one) == ("30.87", "1.63", "82.50", "1.63")
    assert answer.json["metrics"] == one.metrics()
    again = system.http("POST", f"/orders/{home['id']}/resettle", body)
    assert (again.status, again.json) == (200, answer.json)
    assert figures(two)[0] == "-25.00"
    assert len(resettled_events()) == 1


def test_an_order_settled_by_itself_is_corrected_in_an_open_market(system: System) -> None:
    bettor = Bettor(system)
    order_id = bettor.place_successfully("BACK", 10, "3.50")
    path = f"/orders/{order_id}/resettle"
    refused(system.http("POST", path, {"won": True, "reason": "x"}), 409, "not_settled")
    bettor.settle(order_id, won=True, commission="1.00")
    answer = system.http("POST", path, {"won": False, "reason": "A wrong result."})
    assert (answer.status, answer.json["pnl"], answer.json["commission"]) == (200, "-10.00", "0.00")
    assert [each["commission_change"] for each in answer.json["resettlements"]] == ["-1.00"]
    assert bettor.compare_totals().is_consistent
    assert bettor.metrics()["profit"] == "-10.00"


@pytest.mark.usefixtures("fast_moto")
def test_a_pass_over_many_orders_continues_by_message_and_skips_other_markets(system: System) -> None:
    bettor = Bettor(system)
    for number in range(7):
        bettor.place_successfully("BACK", 10, "3.50", market_id=MARKET if number % 2 else "other")
    settle_market(system, ["home"])
    process_stream_and_queue(system)
    with mock.patch.multiple(service, BATCH_SIZE=1, MAX_ORDERS_PER_MESSAGE=2):
        correct(system, ["draw"])
        process_stream_and_queue(system)
    assert bettor.read(f"/markets/{MARKET}/settlement")["status"] == "SETTLED"
    assert len(resettled_events()) == 3
    assert figures(bettor)[0] == "-30.00"


def test_a_user_is_not_complete_while_the_index_hides_an_order(system: System) -> None:
    one, _ = settled_market(system)
    correct(system, ["draw"])
    process_stream(system)
    take_messages(system.settlements_url)
    original = BettingStore.find_user_orders

    def hide(self: BettingStore, *arguments: Any) -> Any:
        return list(original(self, *arguments))[1:]

    with mock.patch.object(BettingStore, "find_user_orders", hide):
        assert system.invoke_worker(settlement_record("1"), worker=settlement_function) == set()
    ((body, _),) = take_messages(system.settlements_url)
    assert json.loads(body)["tries"] == 1
    assert system.invoke_worker(settlement_record("1"), worker=settlement_function) == set()
    assert figures(one)[0] == "-50.00"


def test_a_late_message_of_an_earlier_correction_cannot_restore_its_results(system: System) -> None:
    """A worker reads the market, which is corrected again before the worker writes."""
    one, _ = settled_market(system)
    correct(system, ["draw"])
    process_stream_and_queue(system)
    stale = betting_store().get_market("demo", MARKET)
    correct(system, ["home"])
    process_stream_and_queue(system)
    assert stale is not None
    before = figures(one)
    written = len(commits(BETTING_TABLE))
    position = betting_store().get_position("demo", "1", MARKET)
    assert position is not None
    with (
        mock.patch.object(BettingStore, "get_market", return_value=stale),
        mock.patch.object(type(position), "is_due", return_value=True),
    ):
        assert system.invoke_worker(settlement_record("1"), worker=settlement_function) == set()
    assert (figures(one), len(commits(BETTING_TABLE))) == (before, written)
    assert before[0] == str(Decimal("42.75"))

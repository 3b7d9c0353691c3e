"""The settlement of whole markets, and concurrent clients: each order is settled once, and the totals stay right."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from unittest import mock

import boto3
import pytest

from functions.betting_on_settlement_requested import handler as settlement_function
from tests.support.betting import (
    MARKET,
    Bettor,
    betting_store,
    count_statuses,
    needs_settling,
    process_stream,
    process_stream_and_queue,
    settle_market,
    stored_orders,
)
from tests.support.faults import TransactionConflict, injecting
from tests.support.moto_state import commits, fast_transactions, take_messages, waiting
from tests.support.system import BETTING_TABLE, System, sqs_record
from tests.support.trading import refused
from trimtab.betting.adapters import store
from trimtab.betting.adapters.settlement_queue import SettlementQueue
from trimtab.betting.domain.exposure_limits import LimitedExposure
from trimtab.betting.domain.orders import NewOrder, SettlementRequest
from trimtab.betting.domain.results import BetSide, ResultKind, SelectionResult
from trimtab.betting.service import settlements as service
from trimtab.betting.service.orders import BetOrders, OrderLimits
from trimtab.betting.service.settlements import MarketSettlements
from trimtab.contracts.events import unpack_events
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import Conflict, Unprocessable

WRITERS, EACH = 8, 50
LIMIT = Decimal(2500)
CALLER = Caller("demo", frozenset(), subject="p")


def settlement_record(user_id: str | None = None, **members: Any) -> Any:
    """Return an SQS record of the queue `settlements`."""
    body = {"schema_version": 1, "type": "settlement.requested", "tenant_id": "demo", "market_id": MARKET, **members}
    return sqs_record(json.dumps({**body, "user_id": user_id} if user_id else body), message_id="m")


def keys_of_settled_orders() -> list[str]:
    """Return the key of the order for each commit that settled an order."""
    images = [record["dynamodb"]["NewImage"] for record in commits(BETTING_TABLE)]
    orders = [image for image in images if image["sk"]["S"] == "ORDER"]
    return [order["pk"]["S"] for order in orders if order["status"]["S"] == "SETTLED"]


def test_a_market_is_closed_and_its_orders_are_settled_by_the_worker(system: System) -> None:
    one, two = Bettor(system, "1"), Bettor(system, "2")
    one.place_successfully("BACK", 10, "3.50", "home")  # +25
    one.place_successfully("LAY", 20, "3.00", "draw")  # +20
    one.place_successfully("BACK", 7, "9.00", "away")  # void
    two.place_successfully("LAY", 10, "3.50", "home")  # -25
    answer = settle_market(system, ["home"], voids=["away"], commission_rate="5")
    assert answer.status == 202
    assert (answer.json["status"], answer.json["orders"], answer.json["orders_open"]) == ("SETTLING", 4, 4)
    process_stream_and_queue(system)
    done = one.read(f"/markets/{MARKET}/settlement")
    assert (done["status"], done["orders"], done["orders_open"]) == ("SETTLED", 4, 0)
    assert (done["winners"], done["voids"], done["commission_rate"]) == (["home"], ["away"], "5")
    # 5 % of winnings of 45 is 2.25; a user who lost pays no commission
    assert (one.metrics()["profit"], one.metrics()["commission"]) == ("42.75", "2.25")
    assert (two.metrics()["profit"], two.metrics()["commission"]) == ("-25.00", "0.00")
    assert one.position()["market_commission"] == "2.25"
    assert one.metrics()["roi"] == "142.5000"  # 42.75 of 30
    assert all(user.compare_totals().is_consistent for user in (one, two))
    assert waiting(system.settlements_url) == []


def test_the_commission_of_a_market_counts_the_commission_of_orders_settled_before(system: System) -> None:
    bettor = Bettor(system)
    bettor.settle(bettor.place_successfully("BACK", 10, "3.00", "home"), won=True, commission="0.50")  # +20
    bettor.place_successfully("BACK", 15, "2.00", "draw")  # -15
    settle_market(system, [], commission_rate=10)
    process_stream_and_queue(system)
    assert bettor.position()["market_commission"] == "0.00"  # 10 % of 5 was charged already
    assert bettor.metrics()["profit"] == "4.50"
    assert bettor.compare_totals().is_consistent


def test_a_user_whose_orders_were_settled_before_the_market_pays_its_commission_once(system: System) -> None:
    one, two = Bettor(system, "1"), Bettor(system, "2")
    for user in (one, two):
        user.settle(user.place_successfully("BACK", 100, "2.00"), won=True)
    two.place_successfully("BACK", "0.01", "2.00", "away")  # void: its last order is settled with the market
    settle_market(system, ["home"], voids=["away"], commission_rate=5)
    assert not one.compare_totals().is_consistent  # the commission is not charged yet
    for user_id in ("1", "2", "1"):
        assert system.invoke_worker(settlement_record(user_id), worker=settlement_function) == set()
    for user, selection_id, pnl in ((one, "home", "100.00"), (two, "away", "0.00")):
        assert (user.metrics()["commission"], user.position()["market_commission"]) == ("5.00", "5.00")
        assert user.metrics()["profit"] == "95.00"
        assert user.compare_totals().is_consistent
        assert position_events(user)[-1] == (selection_id, pnl, "5.00")


def position_events(bettor: Bettor) -> list[tuple[str, str, str]]:
    """Return selection, profit and market commission of every `position.updated` event of a user, in order."""
    images = [record["dynamodb"]["NewImage"] for record in commits(BETTING_TABLE)]
    of_user = [image for image in images if image["pk"]["S"].endswith(f"#U#{bettor.user_id}") and "events" in image]
    events = [event.data for image in of_user for event in unpack_events(image["events"]["S"])]
    return [(data["selection_id"], data["pnl"], data["market_commission"]) for data in events]


def test_a_dead_heat_of_two_in_a_market_of_one_winner_pays_half_of_each_stake(system: System) -> None:
    """BACK of 10 at 3.50: 5 wins 12.50 and 5 loses. LAY of 20 at 3.00: the opposite of 20 won less 10 lost."""
    one, two = Bettor(system, "1"), Bettor(system, "2")
    one.place_successfully("BACK", 10, "3.50", "home")
    one.place_successfully("LAY", 20, "3.00", "draw")
    two.place_successfully("LAY", 10, "3.50", "home")
    refused(settle_market(system, ["home", "draw"]), 422, "number_of_winners_missing")
    answer = settle_market(system, ["home", "draw"], number_of_winners=1)
    assert answer.status == 202, answer.text
    shared = {"result": "dead_heat", "factor": "1/2", "reduction_factor": "0"}
    assert (answer.json["winners"], answer.json["results"]) == ([], {"draw": shared, "home": shared})
    process_stream_and_queue(system)
    assert (one.metrics()["profit"], two.metrics()["profit"]) == ("-2.50", "-7.50")
    assert all(user.compare_totals().is_consistent for user in (one, two))
    halves = {"home": {"result": "dead_heat", "factor": 0.5}, "draw": {"result": "dead_heat", "factor": "2/4"}}
    again = system.http("POST", f"/markets/{MARKET}/settle", {"results": halves})
    assert (again.status, again.json["status"]) == (202, "SETTLED")  # the same results in other words


def test_a_market_is_settled_with_a_result_and_factors_for_each_selection(system: System) -> None:
    bettor = Bettor(system)
    for selection in ("won", "half_won", "half_lost", "reduced", "void", "lost"):
        bettor.place_successfully("BACK", 10, "3.50", selection)
    results: dict[str, Any] = {each: {"result": each} for each in ("half_won", "half_lost", "void", "lost")}
    results["reduced"] = {"result": "won", "reduction_factor": "20"}
    answer = settle_market(system, ["won"], results=results, number_of_winners=2)
    assert answer.status == 202, answer.text
    assert (answer.json["winners"], answer.json["voids"]) == (["won"], ["void"])
    process_stream_and_queue(system)
    orders = bettor.read("/orders", user_id="1")["items"]
    assert {order["selection_id"]: order["pnl"] for order in orders} == {
        "won": "25.00",
        "half_won": "12.50",
        "half_lost": "-5.00",
        "reduced": "20.00",
        "void": "0.00",
        "lost": "-10.00",
    }
    (reduced,) = [order["settlement"] for order in orders if order["selection_id"] == "reduced"]
    assert (reduced["result"], reduced["reduction_factor"]) == ("won", "20")
    assert bettor.compare_totals().is_consistent


def test_the_same_settlement_again_answers_as_the_first_and_another_is_refused(system: System) -> None:
    bettor = Bettor(system)
    bettor.place_successfully("BACK", 10, "3.50")
    first = settle_market(system, ["home", "x"], voids=["y"], number_of_winners=2)
    again = settle_market(system, ["x", "home"], voids=["y"], number_of_winners=2)
    assert (again.status, again.json) == (202, first.json)
    for body in (
        {"winners": ["home"]},
        {"winners": ["home", "x"], "number_of_winners": 2},
        {"winners": ["home", "x"], "voids": ["y"], "number_of_winners": 1},
        {"winners": ["x", "home"], "voids": ["y"], "commission_rate": 1, "number_of_winners": 2},
    ):
        refused(system.http("POST", f"/markets/{MARKET}/settle", body), 409, "market_settled")
    assert system.process_settlements() >= 1  # requested by the repeat, as the stream was not processed
    assert count_statuses() == {"SETTLED": 1}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"winners": ["a"], "voids": ["a"]}, 422),
        ({"winners": ["a#b"]}, 400),
        ({"winners": ["a"] * 101}, 400),
        ({"winners": [], "commission_rate": "100.01"}, 400),
        ({"winners": [], "commission_rate": -1}, 400),
        ({"winners": [], "x": 1}, 400),
        ({"voids": ["a"]}, 400),
        ({"winners": ["a", "b"]}, 422),
        ({"winners": ["a"], "number_of_winners": 21}, 400),
        ({"results": {"a": {"result": "dead_heat"}}}, 422),
        ({"results": {"a": {"result": "dead_heat", "factor": "3/2"}}}, 400),
        ({"results": {"a": {"result": "won", "factor": "1/2"}}}, 422),
        ({"results": {"a": {"result": "won", "reduction_factor": "100"}}}, 400),
        ({"results": {"a": {"result": "lost", "reduction_factor": "20"}}}, 422),
        ({"winners": ["a"], "results": {"a": {"result": "won"}}}, 422),
    ],
)
def test_a_bad_settlement_of_a_market_is_refused_and_closes_nothing(system: System, body: Any, status: int) -> None:
    assert system.http("POST", f"/markets/{MARKET}/settle", body).status == status
    assert commits(BETTING_TABLE) == []
    assert system.http("GET", f"/markets/{MARKET}/settlement").status == 404


def test_an_order_that_the_index_shows_too_late_is_found_by_its_stream_record(system: System) -> None:
    """The index does not show the order when the worker reads; its stream record comes after the closing."""
    bettor = Bettor(system)
    bettor.place_successfully("BACK", 10, "3.50")
    settle_market(system, ["home"])
    (order,) = stored_orders()
    hidden = {name: order.pop(name) for name in ("by_open_market_pk", "by_open_market_sk")}
    _replace(order)
    assert system.invoke_worker(settlement_record(), worker=settlement_function) == set()
    assert count_statuses() == {"OPEN": 1}
    _replace({**order, **hidden})
    (record,) = [each for each in commits(BETTING_TABLE) if each["eventName"] == "INSERT" and _is_order(each)]
    assert system.pass_betting_stream([record]) == {"batchItemFailures": []}
    messages = take_messages(system.settlements_url)
    ((body, wait),) = [(body, wait) for body, wait in messages if "user_id" in json.loads(body)]
    assert wait == 0
    assert system.invoke_worker(sqs_record(body), worker=settlement_function) == set()
    assert count_statuses() == {"SETTLED": 1}


def test_an_order_that_the_index_hides_is_found_by_the_position_and_the_market_is_not_settled_before(
    system: System,
) -> None:
    """The stream record came before the closing, so neither the stream nor the index shows the order."""
    bettor = Bettor(system)
    bettor.place_successfully("BACK", 10, "3.50")
    process_stream(system)
    seen = len(commits(BETTING_TABLE))
    settle_market(system, ["home"])
    closing = commits(BETTING_TABLE)[seen:]
    (order,) = stored_orders()
    hidden = {name: order.pop(name) for name in ("by_open_market_pk", "by_open_market_sk")}
    _replace(order)
    system.pass_betting_stream(closing)
    system.process_settlements()
    late = take_messages(system.settlements_url)
    late.sort(key=lambda message: json.loads(message[0])["check"])
    assert ["user_id" in json.loads(body) for body, _ in late] == [True, False]
    assert all(3 <= wait <= 5 for _, wait in late)
    again = settle_market(system, ["home"]).json
    assert (again["status"], again["orders_open"], count_statuses()) == ("SETTLING", 0, {"OPEN": 1})
    take_messages(system.settlements_url)
    _replace({**order, **hidden})
    for body, _ in late:
        assert system.invoke_worker(sqs_record(body), worker=settlement_function) == set()
    done = settle_market(system, ["home"]).json
    assert (done["status"], done["orders"], count_statuses()) == ("SETTLED", 1, {"SETTLED": 1})
    assert bettor.compare_totals().is_consistent


def test_a_market_is_settled_once_all_pages_of_its_users_are_and_this_write_requests_nothing(
    system: System,
) -> None:
    for user_id in "321":
        Bettor(system, user_id).place_successfully("BACK", 10, "3.50", key="k")
    settle_market(system, ["home"])
    with mock.patch.object(store, "USERS_PER_PAGE", 2):
        assert system.invoke_worker(settlement_record("1"), settlement_record("3"), worker=settlement_function) == set()
        assert system.invoke_worker(settlement_record(check=True), worker=settlement_function) == set()
        requested = [json.loads(body) for body, _ in take_messages(system.settlements_url)]
        assert [(body.get("user_id"), body.get("tries", 0)) for body in requested] == [("2", 0), (None, 1)]
        assert system.invoke_worker(settlement_record("2"), worker=settlement_function) == set()
        seen = len(commits(BETTING_TABLE))
        assert system.invoke_worker(settlement_record(check=True, tries=1), worker=settlement_function) == set()
        assert settle_market(system, ["home"]).json["status"] == "SETTLING"  # there is another page
        system.process_settlements()
    (settled,) = commits(BETTING_TABLE)[seen:]
    assert not needs_settling(settled)
    done = settle_market(system, ["home"]).json
    assert (done["status"], done["orders"], done["orders_open"]) == ("SETTLED", 3, 0)
    assert waiting(system.settlements_url) == []


def test_a_market_that_cannot_be_settled_moves_to_the_dead_letter_queue(system: System) -> None:
    bettor = Bettor(system)
    bettor.place_successfully("BACK", 10, "3.50")
    settle_market(system, ["home"])
    with mock.patch.object(store.BettingStore, "find_open_orders", return_value=()):
        for record in (settlement_record("1", tries=19), settlement_record(check=True, tries=19)):
            assert system.invoke_worker(record, worker=settlement_function) == set()
        bodies = take_messages(system.settlements_url)
        assert [json.loads(body)["tries"] for body, _ in bodies] == [20, 20]
        assert all(450 <= wait <= 900 for _, wait in bodies)
        for record in (settlement_record("1", tries=20), settlement_record(check=True, tries=20)):
            assert system.invoke_worker(record, worker=settlement_function) == {"m"}


def test_the_open_orders_of_a_user_are_requested_again_whoever_settled_the_others(system: System) -> None:
    """Two messages for a user at once and an index that still shows settled orders; a message takes four orders."""
    bettor = Bettor(system)
    ids = [bettor.place_successfully("BACK", 10, "3.50", key=f"k{number}") for number in range(6)]
    settle_market(system, ["home"])
    entries = list(betting_store().find_open_orders("demo", MARKET, "1", None))
    assert len(entries) == len(ids)
    small = mock.patch.multiple(service, BATCH_SIZE=2, MAX_ORDERS_PER_MESSAGE=4)
    with small, mock.patch.object(store.BettingStore, "find_open_orders", return_value=entries):
        queue = SettlementQueue(boto3.client("sqs"), system.settlements_url)
        settlements = MarketSettlements(betting_store(), queue, utc_now)
        original = MarketSettlements._settle_batch
        settled_by_another: list[int] = []

        def batch(self: MarketSettlements, *arguments: Any) -> Any:
            settled = original(self, *arguments)
            if not settled_by_another:
                settled_by_another.append(0)
                settled_by_another[0] = len(settlements.settle_user("demo", MARKET, "1"))
            return settled

        with mock.patch.object(MarketSettlements, "_settle_batch", batch):
            assert len(settlements.settle_user("demo", MARKET, "1")) == settled_by_another[0] == 2
    assert count_statuses() == {"SETTLED": 4, "OPEN": 2}
    assert [wait for _, wait in take_messages(system.settlements_url)] == [0, 0]
    assert system.invoke_worker(settlement_record("1"), worker=settlement_function) == set()
    assert count_statuses() == {"SETTLED": 6}


def test_a_user_whose_totals_are_contended_is_requested_again_some_seconds_later(system: System) -> None:
    Bettor(system).place_successfully("BACK", 10, "3.50")
    settle_market(system, ["home"])
    with injecting() as faults:
        faults.set(TransactionConflict(0, times=3))
        assert system.invoke_worker(settlement_record("1"), worker=settlement_function) == set()
    ((body, wait),) = take_messages(system.settlements_url)
    assert 3 <= wait <= 5
    assert system.invoke_worker(sqs_record(body), worker=settlement_function) == set()
    assert count_statuses() == {"SETTLED": 1}


def _is_order(record: Any) -> bool:
    return bool(record["dynamodb"]["NewImage"]["sk"]["S"] == "ORDER") and needs_settling(record)


def _replace(item: Any) -> None:
    boto3.client("dynamodb").put_item(TableName=BETTING_TABLE, Item=item)


def test_an_order_in_an_open_market_requests_nothing(system: System) -> None:
    Bettor(system).place_successfully("BACK", 10, "3.50")
    process_stream(system)
    assert waiting(system.settlements_url) == []


@pytest.mark.volume
@pytest.mark.usefixtures("fast_moto")
def test_the_orders_of_a_market_are_settled_in_batches_by_user(system: System) -> None:
    with fast_transactions():
        _place_orders(range(92), "1")
        _place_orders(range(3), "2")
        settle_market(system, ["home"])
        process_stream_and_queue(system)
    assert count_statuses() == {"SETTLED": 95}
    assert len(keys_of_settled_orders()) == len(set(keys_of_settled_orders())) == 95
    assert all(Bettor(system, user_id).compare_totals().is_consistent for user_id in "12")


def _place_orders(numbers: range, user_id: str) -> None:
    orders = BetOrders(betting_store(), OrderLimits(Decimal(100), Decimal(10**6)), utc_now)
    for number in numbers:
        side = BetSide.LAY if number % 3 else BetSide.BACK
        new = NewOrder(user_id, MARKET, ("home", "draw", "away")[number % 3], side, Decimal(10), Decimal("2.50"))
        orders.place(CALLER, new, f"k{number}")


@pytest.mark.volume
@pytest.mark.usefixtures("fast_moto")
def test_two_workers_at_once_settle_each_order_once(system: System) -> None:
    with fast_transactions():
        _place_orders(range(100), "1")
        settle_market(system, ["home"], commission_rate=5)
        queue = SettlementQueue(boto3.client("sqs"), system.settlements_url)

        def settle(_: int) -> int:
            done = 0
            while True:
                try:
                    done += len(MarketSettlements(betting_store(), queue, utc_now).settle_user("demo", MARKET, "1"))
                    return done
                except Conflict:  # the queue delivers again
                    continue

        with ThreadPoolExecutor(2) as pool:
            counts = list(pool.map(settle, range(2)))
    assert count_statuses() == {"SETTLED": 100}
    assert len(keys_of_settled_orders()) == len(set(keys_of_settled_orders())) == 100
    assert sum(counts) <= 100
    assert Bettor(system).compare_totals().is_consistent


def test_two_settlements_of_one_order_at_once_have_one_effect(system: System) -> None:
    order_id = Bettor(system).place_successfully("BACK", 10, "3.50")

    def settle(number: int) -> str:
        result = ResultKind.WON if number % 2 else ResultKind.LOST
        while True:
            try:
                BetOrders(betting_store(), OrderLimits(LIMIT, LIMIT), utc_now).settle(
                    CALLER, order_id, SettlementRequest(SelectionResult(result))
                )
                return result.value
            except Conflict as refusal:
                if refusal.type == "already_settled":
                    return "refused"

    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(pool.map(settle, range(WRITERS)))
    assert len(set(answers) - {"refused"}) == 1
    assert answers.count("refused") == WRITERS // 2
    assert len(keys_of_settled_orders()) == 1
    assert Bettor(system).compare_totals().is_consistent


@pytest.mark.volume
@pytest.mark.usefixtures("fast_moto")
def test_eight_writers_place_fifty_orders_each_and_exposure_never_passes_the_limit(system: System) -> None:
    def write(writer: int) -> int:
        # The service without the handler: Powertools keeps the request in the process, which the threads share.
        limits = OrderLimits(LIMIT, LIMIT, limited_exposure=LimitedExposure.GROSS)
        orders, placed = BetOrders(betting_store(), limits, utc_now), 0
        for number in range(EACH):
            side = BetSide.LAY if number % 2 else BetSide.BACK
            new = NewOrder("1", f"m{number % 4}", f"s{writer}", side, Decimal(10), Decimal(2))  # exposes 10
            for _ in range(500):
                try:
                    orders.place(CALLER, new, f"w{writer}-{number}")
                    placed += 1
                except Conflict:  # 409 with Retry-After: the client repeats the request
                    continue
                except Unprocessable as refusal:
                    assert refusal.type == "exposure_limit"  # noqa: PT017
                break
        return placed

    with fast_transactions(), ThreadPoolExecutor(WRITERS) as pool:
        placed = sum(pool.map(write, range(WRITERS)))
    exposures = [
        int(image["open_exposure"]["N"])
        for record in commits(BETTING_TABLE)
        if "open_exposure" in (image := record["dynamodb"]["NewImage"])
    ]
    assert placed == len(stored_orders()) == len(exposures) == 250  # 2,500 by tens
    assert max(exposures) == LIMIT * 100
    assert Bettor(system).compare_totals().is_consistent
    assert Bettor(system).metrics()["open_exposure"] == "2500.00"

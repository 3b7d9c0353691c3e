"""Markets settled as a whole, and many hands at once: each order once, sums that are the fold of the orders."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from unittest import mock

import boto3
import pytest

from functions.betting_on_settlement_requested import handler as settlement_function
from tests.support.betting import MARKET, Bettor, book, close, needs_settling, orders, run_stream, statuses, work
from tests.support.faults import TransactionConflict, injecting
from tests.support.moto_state import commits, quick_transactions, take_messages, waiting
from tests.support.system import BETTING_TABLE, System, sqs_record
from tests.support.trading import refused
from trimtab.betting.adapters import book as store
from trimtab.betting.adapters.queues import Settlements as SettlementQueue
from trimtab.betting.domain.orders import Asked, NewOrder
from trimtab.betting.domain.results import Result, Side, Verdict
from trimtab.betting.service import settlements as service
from trimtab.betting.service.orders import Limits, Orders
from trimtab.betting.service.settlements import Settlements
from trimtab.contracts.events import unpack_events
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import Conflict, Unprocessable

WRITERS, EACH = 8, 50
LIMIT = Decimal(2500)
CALLER = Caller("demo", frozenset(), subject="p")


def message(user_id: str | None = None, **members: Any) -> Any:
    """A record of the queue `settlements`."""
    body = {"schema_version": 1, "type": "settlement.requested", "tenant_id": "demo", "market_id": MARKET, **members}
    return sqs_record(json.dumps({**body, "user_id": user_id} if user_id else body), message_id="m")


def settled_images() -> list[str]:
    """The order of each commit that settled one."""
    images = [it["dynamodb"]["NewImage"] for it in commits(BETTING_TABLE)]
    return [it["pk"]["S"] for it in images if it["sk"]["S"] == "ORDER" and it["status"]["S"] == "SETTLED"]


def test_a_market_is_closed_and_its_orders_are_settled_by_the_worker(system: System) -> None:
    one, two = Bettor(system, "1"), Bettor(system, "2")
    one.placed("BACK", 10, "3.50", "home")  # +25
    one.placed("LAY", 20, "3.00", "draw")  # +20
    one.placed("BACK", 7, "9.00", "away")  # void
    two.placed("LAY", 10, "3.50", "home")  # -25
    answer = close(system, ["home"], voids=["away"], commission_rate="5")
    assert answer.status == 202
    assert (answer.json["status"], answer.json["orders"], answer.json["orders_open"]) == ("SETTLING", 4, 4)
    work(system)
    done = one.read(f"/markets/{MARKET}/settlement")
    assert (done["status"], done["orders"], done["orders_open"]) == ("SETTLED", 4, 0)
    assert (done["winners"], done["voids"], done["commission_rate"]) == (["home"], ["away"], "5")
    # 45 won, 5 % of it is 2.25; who lost pays none
    assert (one.metrics()["profit"], one.metrics()["commission"]) == ("42.75", "2.25")
    assert (two.metrics()["profit"], two.metrics()["commission"]) == ("-25.00", "0.00")
    assert one.position()["market_commission"] == "2.25"
    assert one.metrics()["roi"] == "142.5000"  # 42.75 of 30
    assert all(it.rebuilt().is_right for it in (one, two))
    assert waiting(system.settlements_url) == []


def test_commission_counts_what_was_settled_alone_before(system: System) -> None:
    mine = Bettor(system)
    mine.settle(mine.placed("BACK", 10, "3.00", "home"), won=True, commission="0.50")  # +20
    mine.placed("BACK", 15, "2.00", "draw")  # -15
    close(system, [], commission_rate=10)
    work(system)
    assert mine.position()["market_commission"] == "0.00"  # 10 % of 5 was taken already
    assert mine.metrics()["profit"] == "4.50"
    assert mine.rebuilt().is_right


def test_who_was_settled_alone_pays_the_commission_of_the_market_like_everybody_and_once(system: System) -> None:
    one, two = Bettor(system, "1"), Bettor(system, "2")
    for it in (one, two):
        it.settle(it.placed("BACK", 100, "2.00"), won=True)
    two.placed("BACK", "0.01", "2.00", "away")  # void: its last order is settled with the market
    close(system, ["home"], voids=["away"], commission_rate=5)
    assert not one.rebuilt().is_right  # not yet
    for user_id in ("1", "2", "1"):
        assert system.work(message(user_id), worker=settlement_function) == set()
    for it in (one, two):
        assert (it.metrics()["commission"], it.position()["market_commission"]) == ("5.00", "5.00")
        assert it.metrics()["profit"] == "95.00"
        assert it.rebuilt().is_right
        assert told(it)[-1] == ("home" if it is one else "away", "100.00" if it is one else "0.00", "5.00")


def told(bettor: Bettor) -> list[tuple[str, str, str]]:
    """Selection, profit and market commission of every event about the bettor's positions, in their order."""
    images = [it["dynamodb"]["NewImage"] for it in commits(BETTING_TABLE)]
    of_user = [it for it in images if it["pk"]["S"].endswith(f"#U#{bettor.user_id}") and "events" in it]
    data = [event.data for it in of_user for event in unpack_events(it["events"]["S"])]
    return [(it["selection_id"], it["pnl"], it["market_commission"]) for it in data]


def test_the_same_settlement_again_answers_as_the_first_and_another_is_refused(system: System) -> None:
    mine = Bettor(system)
    mine.placed("BACK", 10, "3.50")
    first, again = close(system, ["home", "x"], voids=["y"]), close(system, ["x", "home"], voids=["y"])
    assert (again.status, again.json) == (202, first.json)
    for body in (
        {"winners": ["home"]},
        {"winners": ["home", "x"]},
        {"winners": ["x", "home"], "voids": ["y"], "commission_rate": 1},
    ):
        refused(system.http("POST", f"/markets/{MARKET}/settle", body), 409, "market_settled")
    assert system.settle() >= 1  # the repeat asked for what is left, though the stream has not run
    assert statuses() == {"SETTLED": 1}


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
    ],
)
def test_a_bad_settlement_of_a_market_is_refused_and_closes_nothing(system: System, body: Any, status: int) -> None:
    assert system.http("POST", f"/markets/{MARKET}/settle", body).status == status
    assert commits(BETTING_TABLE) == []
    assert system.http("GET", f"/markets/{MARKET}/settlement").status == 404


def test_an_order_that_the_index_shows_too_late_is_found_by_its_stream_record(system: System) -> None:
    """The index knows nothing of the order when the worker looks; its stream record comes after the closing."""
    mine = Bettor(system)
    mine.placed("BACK", 10, "3.50")
    close(system, ["home"])
    (order,) = orders()
    hidden = {name: order.pop(name) for name in ("by_open_market_pk", "by_open_market_sk")}
    _replace(order)
    assert system.work(message(), worker=settlement_function) == set()
    assert statuses() == {"OPEN": 1}
    _replace({**order, **hidden})
    (record,) = [it for it in commits(BETTING_TABLE) if it["eventName"] == "INSERT" and _is_order(it)]
    assert system.stream_betting([record]) == {"batchItemFailures": []}
    ((body, wait),) = [it for it in take_messages(system.settlements_url) if "user_id" in json.loads(it[0])]
    assert wait == 0
    assert system.work(sqs_record(body), worker=settlement_function) == set()
    assert statuses() == {"SETTLED": 1}


def test_an_order_that_the_index_hides_is_met_by_what_is_kept_of_its_user_and_until_then_nothing_is_settled(
    system: System,
) -> None:
    """Its stream record came before the closing, so neither the stream nor the index tells of it."""
    mine = Bettor(system)
    mine.placed("BACK", 10, "3.50")
    run_stream(system)
    seen = len(commits(BETTING_TABLE))
    close(system, ["home"])
    closing = commits(BETTING_TABLE)[seen:]
    (order,) = orders()
    hidden = {name: order.pop(name) for name in ("by_open_market_pk", "by_open_market_sk")}
    _replace(order)
    system.stream_betting(closing)
    system.settle()
    late = take_messages(system.settlements_url)
    late.sort(key=lambda it: "check" in it[0])
    assert ["user_id" in json.loads(body) for body, _ in late] == [True, False]
    assert all(3 <= wait <= 5 for _, wait in late)
    again = close(system, ["home"]).json
    assert (again["status"], again["orders_open"], statuses()) == ("SETTLING", 0, {"OPEN": 1})
    take_messages(system.settlements_url)
    _replace({**order, **hidden})
    for body, _ in late:
        assert system.work(sqs_record(body), worker=settlement_function) == set()
    done = close(system, ["home"]).json
    assert (done["status"], done["orders"], statuses()) == ("SETTLED", 1, {"SETTLED": 1})
    assert mine.rebuilt().is_right


def test_a_market_is_marked_once_all_pages_of_its_users_are_settled_and_the_mark_asks_for_nothing(
    system: System,
) -> None:
    for user_id in "321":
        Bettor(system, user_id).placed("BACK", 10, "3.50", key="k")
    close(system, ["home"])
    with mock.patch.object(store, "USERS_A_PAGE", 2):
        assert system.work(message("1"), message("3"), worker=settlement_function) == set()
        assert system.work(message(check=True), worker=settlement_function) == set()  # 1 and 2: the latter is open
        asked = [json.loads(body) for body, _ in take_messages(system.settlements_url)]
        assert [(it.get("user_id"), it.get("tries", 0)) for it in asked] == [("2", 0), (None, 1)]
        assert system.work(message("2"), worker=settlement_function) == set()
        seen = len(commits(BETTING_TABLE))
        assert system.work(message(check=True, tries=1), worker=settlement_function) == set()
        assert close(system, ["home"]).json["status"] == "SETTLING"  # there is another page
        system.settle()
    (mark,) = commits(BETTING_TABLE)[seen:]
    assert not needs_settling(mark)
    done = close(system, ["home"]).json
    assert (done["status"], done["orders"], done["orders_open"]) == ("SETTLED", 3, 0)
    assert waiting(system.settlements_url) == []


def test_a_market_that_cannot_be_settled_comes_to_the_dead_letters(system: System) -> None:
    mine = Bettor(system)
    mine.placed("BACK", 10, "3.50")
    close(system, ["home"])
    with mock.patch.object(store.DynamoBook, "open_orders", return_value=()):
        for record in (message("1", tries=19), message(check=True, tries=19)):
            assert system.work(record, worker=settlement_function) == set()
        bodies = take_messages(system.settlements_url)
        assert [json.loads(body)["tries"] for body, _ in bodies] == [20, 20]
        assert all(450 <= wait <= 900 for _, wait in bodies)
        for record in (message("1", tries=20), message(check=True, tries=20)):
            assert system.work(record, worker=settlement_function) == {"m"}


def test_whatever_is_left_of_a_user_is_asked_for_again_whoever_settled_the_others(system: System) -> None:
    """Two messages for a user at once, and an index that still shows what is settled: a message takes four orders."""
    mine = Bettor(system)
    ids = [mine.placed("BACK", 10, "3.50", key=f"k{number}") for number in range(6)]
    close(system, ["home"])
    entries = list(book().open_orders("demo", MARKET, "1", None))
    assert len(entries) == len(ids)
    small = mock.patch.multiple(service, BATCH=2, MOST_A_MESSAGE=4)
    with small, mock.patch.object(store.DynamoBook, "open_orders", return_value=entries):
        settling = Settlements(book(), SettlementQueue(boto3.client("sqs"), system.settlements_url), utc_now)
        original = Settlements._settle_batch
        others: list[int] = []

        def batch(self: Settlements, *arguments: Any) -> Any:
            settled = original(self, *arguments)
            if not others:
                others.append(0)
                others[0] = len(settling.settle_user("demo", MARKET, "1"))
            return settled

        with mock.patch.object(Settlements, "_settle_batch", batch):
            assert len(settling.settle_user("demo", MARKET, "1")) == others[0] == 2
    assert statuses() == {"SETTLED": 4, "OPEN": 2}
    assert [wait for _, wait in take_messages(system.settlements_url)] == [0, 0]
    assert system.work(message("1"), worker=settlement_function) == set()
    assert statuses() == {"SETTLED": 6}


def test_a_user_whose_sums_others_keep_changing_is_asked_for_again_some_seconds_later(system: System) -> None:
    Bettor(system).placed("BACK", 10, "3.50")
    close(system, ["home"])
    with injecting() as faults:
        faults.set(TransactionConflict(0, times=3))
        assert system.work(message("1"), worker=settlement_function) == set()
    ((body, wait),) = take_messages(system.settlements_url)
    assert 3 <= wait <= 5
    assert system.work(sqs_record(body), worker=settlement_function) == set()
    assert statuses() == {"SETTLED": 1}


def _is_order(record: Any) -> bool:
    return bool(record["dynamodb"]["NewImage"]["sk"]["S"] == "ORDER") and needs_settling(record)


def _replace(item: Any) -> None:
    boto3.client("dynamodb").put_item(TableName=BETTING_TABLE, Item=item)


def test_an_order_in_an_open_market_asks_for_nothing(system: System) -> None:
    Bettor(system).placed("BACK", 10, "3.50")
    run_stream(system)
    assert waiting(system.settlements_url) == []


@pytest.mark.volume
@pytest.mark.usefixtures("quick")
def test_the_orders_of_a_market_are_settled_by_batches_and_by_user(system: System) -> None:
    with quick_transactions():
        _place_many(range(92), "1")
        _place_many(range(3), "2")
        close(system, ["home"])
        work(system)
    assert statuses() == {"SETTLED": 95}
    assert len(settled_images()) == len(set(settled_images())) == 95
    assert all(Bettor(system, it).rebuilt().is_right for it in "12")


def _place_many(numbers: range, user_id: str) -> None:
    placing = Orders(book(), Limits(Decimal(100), Decimal(10**6)), utc_now)
    for number in numbers:
        side = Side.LAY if number % 3 else Side.BACK
        new = NewOrder(user_id, MARKET, ("home", "draw", "away")[number % 3], side, Decimal(10), Decimal("2.50"))
        placing.place(CALLER, new, f"k{number}")


@pytest.mark.volume
@pytest.mark.usefixtures("quick")
def test_two_workers_at_once_settle_each_order_once(system: System) -> None:
    with quick_transactions():
        _place_many(range(100), "1")
        close(system, ["home"], commission_rate=5)
        queue = SettlementQueue(boto3.client("sqs"), system.settlements_url)

        def settle(_: int) -> int:
            done = 0
            while True:
                try:
                    done += len(Settlements(book(), queue, utc_now).settle_user("demo", MARKET, "1"))
                    return done
                except Conflict:  # the queue delivers again
                    continue

        with ThreadPoolExecutor(2) as pool:
            counts = list(pool.map(settle, range(2)))
    assert statuses() == {"SETTLED": 100}
    assert len(settled_images()) == len(set(settled_images())) == 100
    assert sum(counts) <= 100
    assert Bettor(system).rebuilt().is_right


def test_two_settlements_of_one_order_at_once_have_one_effect(system: System) -> None:
    order_id = Bettor(system).placed("BACK", 10, "3.50")

    def settle(number: int) -> str:
        result = Result.WON if number % 2 else Result.LOST
        while True:
            try:
                Orders(book(), Limits(LIMIT, LIMIT), utc_now).settle(CALLER, order_id, Asked(Verdict(result)))
                return result.value
            except Conflict as refusal:
                if refusal.type == "already_settled":
                    return "refused"

    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(pool.map(settle, range(WRITERS)))
    assert len(set(answers) - {"refused"}) == 1
    assert answers.count("refused") == WRITERS // 2
    assert len(settled_images()) == 1
    assert Bettor(system).rebuilt().is_right


@pytest.mark.volume
@pytest.mark.usefixtures("quick")
def test_eight_writers_place_fifty_orders_each_and_exposure_never_passes_the_limit(system: System) -> None:
    def write(writer: int) -> int:
        # As invocations do, but with nothing shared: Powertools keeps the request in the process.
        placing, placed = Orders(book(), Limits(LIMIT, LIMIT), utc_now), 0
        for number in range(EACH):
            side = Side.LAY if number % 2 else Side.BACK
            new = NewOrder("1", f"m{number % 4}", f"s{writer}", side, Decimal(10), Decimal(2))  # exposes 10
            for _ in range(500):
                try:
                    placing.place(CALLER, new, f"w{writer}-{number}")
                    placed += 1
                except Conflict:  # 409 with Retry-After: the client sends it again
                    continue
                except Unprocessable as refusal:
                    assert refusal.type == "exposure_limit"  # noqa: PT017
                break
        return placed

    with quick_transactions(), ThreadPoolExecutor(WRITERS) as pool:
        placed = sum(pool.map(write, range(WRITERS)))
    exposures = [
        int(image["open_exposure"]["N"])
        for it in commits(BETTING_TABLE)
        if "open_exposure" in (image := it["dynamodb"]["NewImage"])
    ]
    assert placed == len(orders()) == len(exposures) == 250  # 2,500 by tens
    assert max(exposures) == LIMIT * 100
    assert Bettor(system).rebuilt().is_right
    assert Bettor(system).metrics()["open_exposure"] == "2500.00"

"""Imports: an id for each, at once or by a worker, all rows or none, and undone as a whole."""

from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl

import pytest
from msgspec.structs import replace

from functions.balancing_on_sweep import handler as sweep_function
from functions.ledger_on_recalculation_requested import handler as worker_function
from tests.support.moto_state import commits, lose_messages, stored_items, take_messages
from tests.support.system import System, authorized, sqs_record
from tests.support.trading import Account, account, counts, csv_file, day, ledger_items, refused, split, trade
from trimtab.contracts.event_data import DATA
from trimtab.kernel.clock import parse_time, utc_now
from trimtab.portfolios.ledger.import_worker import ImportWorker
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.pending_jobs import RESEND_AFTER
from trimtab.portfolios.portfolio.worker_queues import WorkerQueues
from trimtab.runtime.dynamodb.outbox import events_of
from trimtab.runtime.sqs.sender import sqs_client

CASH_HEADER = "ref_id,type,amount,executed_at"
IN_FORCE = ("holdings", "cash", "cash_since", "cash_newest_at", "cash_tracking", "lock_owner")


@pytest.fixture
def mine(system: System) -> Account:
    """A portfolio of user 1."""
    return account(system)


def buys(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return a number of buys of a single unit for 2, an hour apart."""
    return [trade(f"r{number}", "BUY", 1, 2, number / 24) for number in range(first, first + count)]


def deposits(count: int, amount: int = 1) -> str:
    """Return a file of deposits, a day apart."""
    return "\n".join([CASH_HEADER, *(f"c{number},deposit,{amount},{day(number)}" for number in range(count))])


def read(mine: Account, job: Any) -> Any:
    """Read an import."""
    return mine.system.http("GET", f"{mine.home}/imports/{job['import_id']}").json


def in_force() -> list[Any]:
    """Return what the stored portfolios say about holdings, cash and lock."""
    portfolios = [item for item in stored_items() if item["sk"]["S"] == "PORTFOLIO"]
    return [{name: item[name] for name in IN_FORCE if name in item} for item in portfolios]


def run_for(chunks: int) -> Any:
    """Return the worker of imports with the time for a number of chunks."""
    times = iter(range(2 + 2 * chunks))

    def clock() -> datetime:
        return utc_now() if next(times, None) is not None else utc_now() + timedelta(hours=1)

    return ImportWorker(worker_function.ledger(), WorkerQueues(sqs_client(), worker_function.settings()), clock)


def test_the_same_file_is_the_same_import_and_imports_are_listed_newest_first(mine: Account) -> None:
    first = mine.upload(csv_file(buys(3))).json
    assert (first["status"], first["kind"], first["rows"], *counts(first)) == ("COMPLETED", "trade", 3, 3, 0)
    again = mine.upload(csv_file(buys(3))).json
    assert (again["import_id"], *counts(again)) == (first["import_id"], 0, 3)
    assert counts(read(mine, first)) == (3, 0)
    second, third = mine.import_file(csv_file(buys(3, 1))), mine.import_file(deposits(2, 9), kind="cash")
    assert counts(second) == (1, 2)
    page = mine.system.http("GET", f"{mine.home}/imports", query={"limit": "2"}).json
    rest = mine.system.http("GET", f"{mine.home}/imports", query={"limit": "2", "cursor": page["next_cursor"]}).json
    listed = [each["import_id"] for each in (*page["items"], *rest["items"])]
    assert listed == [third["import_id"], second["import_id"], first["import_id"]]
    assert rest["next_cursor"] is None
    assert account(mine.system, "2").upload(csv_file(buys(3))).json["import_id"] != first["import_id"]


def test_an_unknown_import_and_that_of_another_owner_are_not_found(mine: Account) -> None:
    path = f"{mine.home}/imports/{mine.upload(csv_file(buys(1))).json['import_id']}"
    stranger = authorized(user_id="2")
    for method in ("GET", "DELETE"):
        assert mine.system.http(method, path, authorizer=stranger).status == 404
        assert mine.system.http(method, f"{mine.home}/imports/x").status == 404
    assert mine.system.http("GET", f"{mine.home}/imports", authorizer=stranger).status == 404


def test_a_large_file_is_accepted_and_recorded_by_a_worker(mine: Account) -> None:
    answer = mine.upload(csv_file(buys(200)))
    assert (answer.status, answer.json["status"], answer.headers["Retry-After"]) == (202, "REQUESTED", "5")
    assert answer.headers["Location"].endswith(answer.json["links"]["self"])
    assert counts(answer.json) == (0, 0)
    assert mine.upload(csv_file(buys(200))).json["import_id"] == answer.json["import_id"]
    refused(mine.record("n", "BUY", 1, 2, 50), 409, "locked")
    refused(mine.upload(csv_file(buys(1, 500))), 409, "locked")
    assert mine.system.process_recalculations() == 2  # the repeat woke the worker again
    done = read(mine, answer.json)
    assert (done["status"], *counts(done)) == ("COMPLETED", 200, 0)
    assert mine.sums() == ("200", "400.00", "0.00")
    assert mine.record("n", "BUY", 1, 2, 50).status == 201
    assert counts(mine.upload(csv_file(buys(200))).json) == (0, 200)


def test_entries_of_a_running_import_count_nowhere_and_a_new_message_continues(mine: Account) -> None:
    mine.cash("start", "deposit", 1000, 0)
    mine.record("before", "BUY", 1, 10, 1)
    job = mine.upload(csv_file(buys(200))).json
    lose_messages()
    before = (mine.holdings(), mine.system.http("GET", f"{mine.home}/trades.csv").text)
    running = run_for(1).run("demo", mine.portfolio["portfolio_id"], job["import_id"])
    assert running is not None
    assert (running.status, running.recorded, len(ledger_items())) == ("RUNNING", 90, 92)
    assert read(mine, job)["recorded"] == 90
    assert (mine.holdings(), mine.system.http("GET", f"{mine.home}/trades.csv").text) == before
    assert mine.trades(to=day(0.5))["items"] == []
    assert mine.system.http("GET", f"{mine.home}/trades/r0").status == 404
    refused(mine.post_trade(buys(1)[0]), 409, "locked")
    split(mine.system, 3, 2)  # the holding is folded again by each reader
    assert mine.sums() == ("2", "10.00", "0.00")
    assert mine.cash("more", "deposit", 5).status == 201
    assert mine.system.process_recalculations() == 1
    assert counts(read(mine, job)) == (200, 0)
    # 72 of the 200 units are bought before the split of two for one at the opening of day 3.
    assert (mine.sums()[1], mine.holdings()["cash"]) == ("410.00", "595.00")  # type: ignore[index]


def test_an_import_that_runs_out_of_time_is_continued_by_a_message_of_its_own(mine: Account) -> None:
    job = mine.upload(csv_file(buys(200))).json
    ((body, _),) = take_messages(mine.system.recalculations_url)
    hurried = replace(worker_function.import_worker(), run_for=timedelta(0))
    with mock.patch.object(worker_function, "import_worker", return_value=hurried):
        assert mine.system.invoke_worker(sqs_record(body), worker=worker_function) == set()
    assert counts(read(mine, job)) == (0, 0)
    assert mine.system.process_recalculations() == 1
    assert counts(read(mine, job)) == (200, 0)


def read_all(mine: Account, reader: str) -> Any:
    """Return the text of a resource."""
    path, _, query = reader.partition("?")
    answer = mine.system.http("GET", f"{mine.home}/{path}", query=dict(parse_qsl(query)))
    assert answer.status == 200, answer.text
    return answer.text


@pytest.mark.parametrize("reader", ["trades?limit=100", "trades.csv", "cumulative-returns?as_of=2026-11-20"])
@pytest.mark.parametrize("begins", [True, False])
def test_an_import_that_begins_or_ends_between_the_reads_of_a_reader_is_not_seen_half(
    mine: Account, reader: str, *, begins: bool
) -> None:
    mine.cash("start", "deposit", 1000, 0)
    mine.record("before", "BUY", 1, 10, 1)
    before, place = read_all(mine, reader), mine.portfolio["portfolio_id"]

    def begin() -> str:
        job = mine.upload(csv_file([*buys(60), trade("s", "SELL", 1, 9, 5), *buys(39, 60)])).json
        lose_messages()
        run_for(1).run("demo", place, job["import_id"])
        return str(job["import_id"])

    begun = "" if begins else begin()
    calls = {name: getattr(LedgerStore, name) for name in ("trades", "trades_of")}
    happened: list[str] = []

    def interrupted(name: str) -> Any:
        def read(store: LedgerStore, *args: Any, **members: Any) -> Any:
            if happened:
                return calls[name](store, *args, **members)
            happened.append(name)
            if begins:
                begin()
                return calls[name](store, *args, **members)
            found = calls[name](store, *args, **members)
            run_for(9).run("demo", place, begun)
            return found

        return read

    with ExitStack() as stack:
        for name in calls:
            stack.enter_context(mock.patch.object(LedgerStore, name, interrupted(name)))
        seen = read_all(mine, reader)
    assert happened
    assert seen == before


@pytest.mark.parametrize("chunks", [0, 1])
def test_a_cancelled_import_records_nothing_releases_the_lock_and_may_be_repeated(mine: Account, chunks: int) -> None:
    mine.cash("start", "deposit", 1000, 0)
    mine.record("before", "BUY", 1, 10, 1)
    before = in_force()
    job = mine.upload(csv_file(buys(100))).json
    lose_messages()
    worker = run_for(chunks)
    worker.run("demo", mine.portfolio["portfolio_id"], job["import_id"])
    assert read(mine, job)["recorded"] == 90 * chunks
    cancelled = mine.undo(job["import_id"])
    assert (cancelled.status, cancelled.json["status"], cancelled.json["undone_by"]) == (202, "CANCELLING", "test")
    refused(mine.post_trade(buys(1)[0]), 409, "locked")
    assert mine.upload(csv_file(buys(100))).json["status"] == "CANCELLING", "a repeat waits for the end"
    assert mine.system.process_recalculations()
    ended = read(mine, job)
    assert (ended["status"], ended["recorded"], in_force()) == ("CANCELLED", 0, before)
    assert len(ledger_items()) == 2
    again = mine.undo(job["import_id"])
    assert (again.status, again.json) == (200, ended)
    assert mine.upload(csv_file(buys(100))).status == 202
    assert mine.system.process_recalculations() == 1
    assert counts(read(mine, job)) == (100, 0)


def test_a_cancellation_between_two_chunks_stops_the_worker_that_is_writing(mine: Account) -> None:
    job = mine.upload(csv_file(buys(200))).json
    lose_messages()
    worker, put = run_for(9), worker_function.ledger().put

    def cancel_first(*records: Any, **members: Any) -> Any:
        if read(mine, job)["status"] == "RUNNING":
            assert mine.undo(job["import_id"]).status == 202
        return put(*records, **members)

    with mock.patch.object(type(worker.ledger), "put", side_effect=cancel_first):
        ended = worker.run("demo", mine.portfolio["portfolio_id"], job["import_id"])
    assert ended is not None
    assert (ended.status, ledger_items()) == ("CANCELLED", [])
    assert mine.post_trade(buys(1)[0]).status == 201


@pytest.mark.parametrize(
    ("rows", "reason", "fields"),
    [
        ([*buys(95), trade("s", "SELL", 96, 9, 30)], "s takes 96 AAPL", []),
        ([*buys(95), trade("s", "SELL", 1, 9, -1)], "s takes 1 AAPL", []),
        ([trade("r0", "BUY", 2, 2, 0), *buys(94, 1)], "Some rows were recorded with other values", ["line 2: ref_id"]),
        ([*buys(95), trade("f", "BUY", 1, 2, executed_at="2999-01-01T00:00:00Z")], "future", ["line 97: executed_at"]),
    ],
)
def test_a_large_file_that_breaks_a_rule_records_nothing_and_says_why(
    mine: Account, rows: list[Any], reason: str, fields: list[str]
) -> None:
    mine.post_trade(buys(1)[0])
    before, items = in_force(), ledger_items()
    rejected = mine.import_file(csv_file(rows))
    assert rejected["status"] == "REJECTED"
    assert reason in rejected["reason"]
    assert [error["field"] for error in rejected["errors"]] == fields
    assert (in_force(), ledger_items()) == (before, items)
    assert mine.undo(rejected["import_id"]).json["status"] == "REJECTED"


def test_a_rejected_file_is_accepted_once_its_cause_is_gone(mine: Account) -> None:
    rows = [*buys(95), trade("s", "SELL", 96, 9, 30)]
    assert mine.import_file(csv_file(rows))["status"] == "REJECTED"
    mine.record("more", "BUY", 1, 2, 0)
    done = mine.import_file(csv_file(rows))
    assert (done["status"], done["reason"], *counts(done)) == ("COMPLETED", None, 96, 0)


def test_a_cash_file_that_only_all_rows_together_allow_is_recorded_by_a_worker(mine: Account) -> None:
    lines = [f"o{number},withdrawal,1,{day(300 + number)}" for number in range(95)]
    done = mine.import_file(deposits(95) + "\n" + "\n".join(lines), kind="cash")
    assert (done["kind"], *counts(done)) == ("cash", 190, 0)
    assert mine.holdings()["cash"] == "0.00"


def test_an_import_that_a_split_contradicts_half_way_deletes_what_is_written(mine: Account) -> None:
    rows = [*buys(95), trade("s", "SELL", 95, 9, 30)]
    job = mine.upload(csv_file(rows)).json
    before = in_force()
    run_for(1).run("demo", mine.portfolio["portfolio_id"], job["import_id"])
    assert len(ledger_items()) == 90
    split(mine.system, 20, 1, 10)
    mine.system.process_recalculations()
    rejected = read(mine, job)
    assert (rejected["status"], rejected["recorded"]) == ("REJECTED", 0)
    assert "s takes 95 AAPL" in rejected["reason"]
    assert ledger_items() == []
    assert in_force() == [{name: each[name] for name in each if name != "lock_owner"} for each in before]


@pytest.mark.parametrize("count", [3, 200])
def test_an_undone_import_leaves_everything_as_before_and_may_be_repeated(mine: Account, count: int) -> None:
    mine.record("before", "BUY", 1, 10, 1)
    before, items = in_force(), ledger_items()
    job = mine.import_file(csv_file(buys(count)))
    after = in_force()
    answer = mine.undo(job["import_id"])
    assert answer.status == (200 if count == 3 else 202)
    assert mine.sums() == ("1", "10.00", "0.00")
    assert mine.system.http("GET", f"{mine.home}/trades/r1").status == 404
    mine.system.process_recalculations()
    undone = read(mine, job)
    assert (undone["status"], undone["recorded"], undone["undone_by"]) == ("UNDONE", 0, "test")
    assert (in_force(), ledger_items()) == (before, items)
    assert mine.undo(job["import_id"]).json["status"] == "UNDONE"
    again = mine.import_file(csv_file(buys(count)))
    assert (again["import_id"], again["status"], *counts(again)) == (job["import_id"], "COMPLETED", count, 0)
    assert in_force() == after


@pytest.mark.parametrize("count", [3, 95])
def test_cash_that_only_an_undone_import_tracked_is_not_tracked_any_more(mine: Account, count: int) -> None:
    mine.record("before", "BUY", 1, 10, 50)
    before = in_force()
    job = mine.import_file(deposits(count, 9), kind="cash")
    assert mine.holdings()["cash"] == f"{9 * count - 10}.00"
    mine.undo(job["import_id"])
    mine.system.process_recalculations()
    assert (in_force(), mine.holdings()["cash"]) == (before, None)


@pytest.mark.parametrize("count", [3, 95])
def test_an_undo_that_would_leave_a_negative_quantity_is_refused_as_a_whole(mine: Account, count: int) -> None:
    job = mine.import_file(csv_file(buys(count)))
    mine.record("later", "SELL", 2, 6, 50)
    before = stored_items()
    problem = refused(mine.undo(job["import_id"]), 422, "insufficient_quantity")
    assert "later takes 2 AAPL" in problem["detail"]
    assert stored_items() == before


@pytest.mark.parametrize("count", [3, 95])
def test_an_undo_that_would_leave_negative_cash_is_refused_as_a_whole(mine: Account, count: int) -> None:
    job = mine.import_file(deposits(count), kind="cash")
    mine.record("later", "BUY", 1, 2, 200)
    before = stored_items()
    problem = refused(mine.undo(job["import_id"]), 422, "insufficient_cash")
    assert f"from {day(200)[:10]}T00:00:00.000000Z on, by 2 at the lowest" in problem["detail"]
    assert stored_items() == before


def test_only_what_an_import_recorded_is_undone_corrections_included(mine: Account) -> None:
    mine.post_trade(buys(1)[0])
    job = mine.import_file(csv_file(buys(3)))
    assert counts(job) == (2, 1)
    mine.correct("r1", quantity=5, symbol="MSFT")
    assert mine.undo(job["import_id"]).status == 200
    assert [each["ref_id"] for each in mine.trades()["items"]] == ["r0"]
    assert (mine.sums(), mine.sums("MSFT")) == (("1", "2.00", "0.00"), None)


@pytest.mark.parametrize("count", [3, 95])
def test_rows_that_another_import_recorded_and_an_undo_removed_are_not_lost_silently(mine: Account, count: int) -> None:
    first, second = mine.import_file(csv_file(buys(count))), mine.import_file(csv_file(buys(count + 1)))
    assert counts(second) == (1, count)
    mine.undo(first["import_id"])
    mine.system.process_recalculations()
    if count > 90:
        refused(mine.upload(csv_file(buys(count + 1))), 409, "import_incomplete")
        mine.undo(second["import_id"])
    repeated = mine.import_file(csv_file(buys(count + 1)))
    assert (mine.sums(), repeated["import_id"]) == (
        (str(count + 1), f"{2 * count + 2}.00", "0.00"),
        second["import_id"],
    )
    assert mine.undo(second["import_id"]).status in {200, 202}
    mine.system.process_recalculations()
    assert ledger_items() == []


def test_a_lost_message_of_an_import_is_sent_again(mine: Account) -> None:
    job = mine.upload(csv_file(buys(95))).json
    lose_messages()
    later = parse_time(job["updated_at"]) + RESEND_AFTER
    with mock.patch.object(sweep_function, "utc_now", return_value=later):
        assert mine.system.run_sweeper()["resent"] == 1
    assert mine.system.process_recalculations() == 1
    assert read(mine, job)["status"] == "COMPLETED"


def test_an_import_and_its_undo_are_one_event_each(mine: Account) -> None:
    for count in (3, 95):
        job = mine.import_file(csv_file(buys(count, 10 * count)))
        mine.undo(job["import_id"])
        mine.system.process_recalculations()
    events = [event for record in commits() if "NewImage" in record["dynamodb"] for event in events_of(record)]
    found = [event for event in events if event["type"] != "portfolio.created"]
    assert [event["type"] for event in found] == ["import.completed", "import.undone"] * 2
    assert [event["data"]["recorded"] for event in found] == [3, 3, 95, 95]
    assert all(DATA[event["type"]].model_validate(event["data"]) for event in found)
    assert found[0]["data"]["affects_from"] == parse_time(day(1.25)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")

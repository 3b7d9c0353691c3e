"""The queue delivers again and in any order: each report has its effect once, and the newest one wins."""

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from tests.faults.harness import FaultTestBench
from tests.support.moto_state import commits, stored_items
from tests.support.system import sqs_record

NOW = datetime.now(UTC).replace(microsecond=0)
TARGET = {"stocks": 60, "bonds": 30, "gold": 10}


def report(user_id: str, request_id: str, minutes_ago: float, stocks: int) -> str:
    """A drift report as a provider sends it; every one of them is outside the band."""
    message = {
        "schema_version": 1,
        "type": "rebalance.requested",
        "tenant_id": "demo",
        "user_id": user_id,
        "request_id": request_id,
        "new_allocation": {"stocks": stocks, "bonds": 90 - stocks, "gold": 10},
        "as_of": (NOW - timedelta(minutes=minutes_ago)).isoformat(),
    }
    return json.dumps(message)


@pytest.mark.parametrize("times", range(2, 11))
def test_each_repeated_delivery_costs_one_read_and_changes_nothing(bench: FaultTestBench, times: int) -> None:
    bench.system.portfolio()
    record = sqs_record(report("1", "k1", 1, 70))
    assert bench.system.invoke_worker(record) == set()
    before, written = stored_items(), len(commits())
    bench.faults.set()
    for _ in range(times - 1):
        assert bench.system.invoke_worker(record) == set()
    assert bench.faults.operations == ["BatchGetItem"] * (times - 1)
    assert (stored_items(), len(commits())) == (before, written)


def test_a_batch_that_holds_one_report_ten_times_decides_it_once(bench: FaultTestBench) -> None:
    bench.system.portfolio()
    bench.faults.set()
    assert (
        bench.system.invoke_worker(*(sqs_record(report("1", "k1", 1, 70), message_id=f"m{n}") for n in range(10)))
        == set()
    )
    assert bench.faults.operations == ["BatchGetItem", "TransactWriteItems"] + ["BatchGetItem"] * 9


@pytest.mark.parametrize("days", [1, 4, 14, 30])
def test_a_redrive_days_later_costs_one_read_and_changes_nothing(bench: FaultTestBench, days: int) -> None:
    bench.system.portfolio()
    bench.system.invoke_worker(sqs_record(report("1", "k1", 1, 70)))
    before = stored_items()
    bench.clock.ahead = timedelta(days=days)
    bench.faults.set()
    sent = str(int((NOW + timedelta(days=days)).timestamp() * 1000))
    assert (
        bench.system.invoke_worker(sqs_record(report("1", "k1", 1, 70), message_id="redriven", SentTimestamp=sent))
        == set()
    )
    assert bench.faults.operations == ["BatchGetItem"]
    assert stored_items() == before


def test_five_reports_in_any_of_their_120_orders_leave_the_same_portfolio(bench: FaultTestBench) -> None:
    # Two of them are of the same moment: their ids order them. Ids follow from the user, so the user is the same.
    reports = [report("1", f"k{n}", age, 65 + n) for n, age in enumerate([5, 4, 3, 2, 2])]
    ends = []
    for order in permutations(reports):
        bench.start("put on the queue")
        for number, body in enumerate(order):
            assert bench.system.invoke_worker(sqs_record(body, message_id=f"m{number}")) == set()
        ends.append(final_state())
    assert len(ends) == 120
    assert all(end == ends[0] for end in ends)
    assert ends[0]["last_report_as_of"].startswith((NOW - timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M:%S"))


def final_state() -> dict[str, Any]:
    """The portfolio without what only counts writes or times them; checks on the way that each report has an end."""
    items = {item["sk"]["S"]: item for item in stored_items()}
    portfolio = items.pop("PORTFOLIO")
    statuses = [item["status"]["S"] for item in items.values()]
    assert len(statuses) == 5
    assert set(statuses) <= {"COMPLETED", "SUPERSEDED"}
    assert int(portfolio["version"]["N"]) == 1 + statuses.count("COMPLETED")
    of_writing = {"version", "updated_at", "by_user_sk", "by_tenant_sk", "events", "trace"}
    return {name: value["S"] for name, value in portfolio.items() if name not in of_writing and "S" in value}

"""Several workers at once on the same portfolio: the outcome equals a serial outcome, and no message is lost."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from tests.support.faults import Call, Faults, injecting
from tests.support.moto_state import commits, stored_items
from tests.support.system import TABLE, System, sqs_record
from trimtab.contracts.messages import RebalanceRequested
from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import Conflict
from trimtab.portfolios.rebalancing.report_worker import ReportWorker
from trimtab.portfolios.rebalancing.store import RebalanceStore
from trimtab.runtime.sqs.worker import read_record, sent_at

WORKERS = 8
NOW = datetime.now(UTC)


class Rendezvous:
    """Lets nobody write before all who are at work have read: the worst interleaving, in every round."""

    def __init__(self, workers: int) -> None:
        self._barrier = threading.Barrier(workers)

    def __call__(self, call: Call) -> None:
        """Waits after a read for the others; once one has left, nobody waits any more."""
        if call.operation == "BatchGetItem":
            try:
                self._barrier.wait(timeout=5)
            except threading.BrokenBarrierError:
                return

    def leave(self) -> None:
        """Let the other workers continue without a worker that is done."""
        self._barrier.abort()


@pytest.fixture
def faults() -> Iterator[Faults]:
    """A record of the calls, and a place to interleave them."""
    with injecting(sleeps=True) as faults:
        yield faults


def report(number: int) -> Any:
    """A record of the queue; each number is another report, later than the ones before, out of the band."""
    message = {
        "schema_version": 1,
        "type": "rebalance.requested",
        "tenant_id": "demo",
        "request_id": f"r{number}",
        "user_id": "1",
        "new_allocation": {"stocks": 61 + number, "bonds": 29 - number, "gold": 10},
        "as_of": (NOW - timedelta(minutes=WORKERS - number)).isoformat(),
    }
    return sqs_record(json.dumps(message), message_id=f"m{number}")


def work_at_once(records: list[Any], rendezvous: Rendezvous) -> list[Any]:
    """Give each record to a worker of its own, all at the same time; return the records returned to the queue."""

    def work(record: Any) -> Any:
        # As an invocation does, but with nothing shared: Powertools keeps its counters in the process.
        decisions = ReportWorker(RebalanceStore(client, TABLE), utc_now)
        message = SQSRecord(record)
        try:
            decisions.decide(read_record(message, RebalanceRequested), sent_at(message, {}))
        except Conflict:
            return record
        finally:
            rendezvous.leave()
        return None

    client = boto3.client("dynamodb")
    with ThreadPoolExecutor(len(records)) as pool:
        return [record for record in pool.map(work, records) if record is not None]


def state() -> tuple[dict[str, Any], dict[str, Any]]:
    """The portfolio, and the rebalances by the request's number."""
    items = {item["sk"]["S"]: item for item in stored_items()}
    portfolio = items.pop("PORTFOLIO")
    return portfolio, {item["request_id"]["S"]: item for item in items.values()}


def applied_in_order() -> list[str]:
    """The times of the reports that were applied, in the order of the portfolio's versions."""
    images = [record["dynamodb"]["NewImage"] for record in commits()]
    portfolios = [image for image in images if image["sk"]["S"] == "PORTFOLIO"]
    assert [int(image["version"]["N"]) for image in portfolios] == list(range(1, len(portfolios) + 1))
    return [image["last_report_as_of"]["S"] for image in portfolios if "last_report_as_of" in image]


def test_eight_workers_on_distinct_reports_of_a_portfolio_come_to_a_serial_outcome(
    system: System, faults: Faults
) -> None:
    system.portfolio()
    left, rounds = [report(number) for number in range(WORKERS)], 0
    while left:
        faults.on_answer = rendezvous = Rendezvous(len(left))
        returned = work_at_once(left, rendezvous)
        _, decided = state()
        assert len(decided) == WORKERS - len(returned)  # what was not returned has its outcome
        left, rounds = returned, rounds + 1
        assert rounds <= WORKERS
    portfolio, decided = state()
    statuses = [item["status"]["S"] for item in decided.values()]
    assert decided.keys() == {f"r{number}" for number in range(WORKERS)}
    assert set(statuses) <= {"COMPLETED", "SUPERSEDED"}
    assert decided[f"r{WORKERS - 1}"]["status"]["S"] == "COMPLETED"
    assert int(portfolio["version"]["N"]) == 1 + statuses.count("COMPLETED")
    assert portfolio["last_report_rebalance_id"]["S"] == decided[f"r{WORKERS - 1}"]["sk"]["S"].partition("#")[2]
    order = applied_in_order()
    assert order == sorted(order)  # a report was applied only where no later one had been
    assert len(order) == statuses.count("COMPLETED")


def test_eight_workers_on_the_same_report_decide_it_once(system: System, faults: Faults) -> None:
    system.portfolio()
    faults.on_answer = rendezvous = Rendezvous(WORKERS)
    assert work_at_once([report(0)] * WORKERS, rendezvous) == []
    portfolio, decided = state()
    assert [item["status"]["S"] for item in decided.values()] == ["COMPLETED"]
    assert int(portfolio["version"]["N"]) == 2
    assert len(applied_in_order()) == 1
    assert len(commits()) == 3  # the portfolio, its second version, the outcome
    assert faults.operations.count("BatchGetItem") >= WORKERS + 1  # the losers read what the winner wrote


def test_a_message_whose_portfolio_others_keep_changing_is_returned_and_decided_later(
    system: System, faults: Faults
) -> None:
    portfolio = system.portfolio()
    change = f"/portfolios/{portfolio['portfolio_id']}"
    cooldowns = iter(range(1, 100))

    def intrude(call: Call) -> None:
        if call.operation == "BatchGetItem":
            with faults.paused():
                faults.on_answer = None
                system.http("PATCH", change, {"cooldown_seconds": next(cooldowns)})
                faults.on_answer = intrude

    faults.on_answer = intrude
    assert system.invoke_worker(report(0)) == {"m0"}
    assert state()[1] == {}
    faults.on_answer = None
    assert system.invoke_worker(report(0)) == set()
    (outcome,) = state()[1].values()
    assert outcome["status"]["S"] == "COMPLETED"
    assert int(state()[0]["version"]["N"]) == 1 + 3 + 1

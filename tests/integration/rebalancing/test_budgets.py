"""Budgets of requests: AWS calls, counted at the client, and write units, computed from item sizes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.tables import PORTFOLIOS, TableShape
from tests.support.balancing import balanced
from tests.support.faults import Faults, injecting
from tests.support.moto_state import waiting
from tests.support.system import System, sqs_record
from tests.support.write_units import failed_put_units, index_units, item_bytes, metering, put_units, units

SYMBOLS = [
    "AAPL MSFT NVDA AMZN META GOOGL GOOG AVGO TSLA LLY JPM UNH XOM COST HD PG JNJ ABBV WMT NFLX BAC CRM ORCL CVX MRK",
    "AMD KO PEP WFC TMO ACN ADBE LIN MCD CSCO ABT IBM GE PM CAT TXN QCOM VZ AMAT DHR INTU NOW ISRG SPGI RTX",
]
FIFTY = [symbol for line in SYMBOLS for symbol in line.split()]
INDEXED = TableShape(local_indexes=("by_time",), global_indexes=("pending_jobs",))


@pytest.fixture
def calls(system: System) -> Iterator[Faults]:
    """A record of the calls, and no faults."""
    with injecting() as faults:
        yield faults


def weights(shift: int = 0) -> dict[str, str]:
    """Fifty weights with two decimals around 2 that sum to 100; `shift` makes them drift."""
    hundredths = [200 + (-1) ** n * (3 + (7 * (n // 2 + shift)) % 90) for n in range(50)]
    hundredths[0] += 10_000 - sum(hundredths)
    return {symbol: f"{number / 100:.2f}" for symbol, number in zip(FIFTY, hundredths, strict=True)}


def test_accepting_takes_three_calls_deciding_two_a_duplicate_one_read_and_creating_one(
    system: System, calls: Faults
) -> None:
    def made() -> list[str]:
        operations = list(calls.operations)
        calls.set()
        return operations

    system.portfolio()
    assert made() == ["PutItem"]
    system.http(
        "POST", "/rebalance", {"user_id": "1", "new_allocation": {"stocks": 70, "bonds": 30}, "request_id": "k"}
    )
    assert made() == ["GetItem", "PutItem", "SendMessage"]
    (message,) = waiting(system.queue_url)
    assert system.invoke_worker(sqs_record(message.body)) == set()
    assert made() == ["BatchGetItem", "TransactWriteItems"]
    assert system.invoke_worker(sqs_record(message.body)) == set()
    assert made() == ["BatchGetItem"]


def test_a_report_put_straight_on_the_queue_takes_two_calls_too(system: System, calls: Faults) -> None:
    system.portfolio()
    calls.set()
    assert system.invoke_worker(sqs_record(direct_message({"stocks": 70, "bonds": 20, "gold": 10}))) == set()
    assert calls.operations == ["BatchGetItem", "TransactWriteItems"]


def test_only_a_check_that_trades_reads_assets(system: System, calls: Faults) -> None:
    mine = balanced(system)

    def made() -> list[str]:
        calls.set()
        system.process_checks()
        return [operation for operation in calls.operations if operation.endswith(("Item", "Items"))]

    mine.deposit(1, "small")
    mine.stream()
    evaluated = ["GetItem", "PutItem", "BatchGetItem", "TransactWriteItems", "BatchGetItem", "TransactWriteItems"]
    assert made() == evaluated
    mine.quote(AAPL=140)  # quotes, halts and assets are read, and the plan is stored
    assert made() == ["GetItem", "PutItem", *["BatchGetItem"] * 3, "TransactWriteItems"]


def test_accepting_and_deciding_fifty_assets_takes_few_write_units(system: System) -> None:
    with metering(PORTFOLIOS) as meter:
        system.portfolio(allocation=weights())
        created = meter.total
        report = {"user_id": "1", "new_allocation": weights(3), "request_id": "k1"}
        accepted = system.http("POST", "/rebalance", report)
        assert accepted.status == 202, accepted.text
        on_acceptance = meter.total - created
        system.drain_queue()
        on_decision = meter.total - created - on_acceptance
        status = system.http("GET", accepted.json["links"]["self"]).json
    assert status["status"] == "COMPLETED"
    assert len(status["transactions"]) > 45
    # Half of the units of a decision is the transaction. The new portfolio is just above 1 KB with the trace of its
    # event, and DynamoDB charges the larger of the old and the new item.
    assert (created, on_acceptance, on_decision) == (4, 3, 10)


def direct_message(allocation: dict[str, Any]) -> str:
    """Return a drift report of user 1 as a provider sends the message."""
    report = {"tenant_id": "demo", "request_id": "k1", "user_id": "1", "new_allocation": allocation}
    return json.dumps({"schema_version": 1, "type": "rebalance.requested", **report})


# The calculator, by hand -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"pk": {"S": "abc"}}, 2 + 3),
        ({"é": {"S": "é"}}, 2 + 2),
        ({"n": {"N": "0"}}, 1 + 1),
        ({"n": {"N": "7"}}, 1 + 2),
        ({"n": {"N": "12"}}, 1 + 2),
        ({"n": {"N": "123"}}, 1 + 3),
        ({"n": {"N": "-123"}}, 1 + 4),
        ({"n": {"N": "1200"}}, 1 + 2),
        ({"n": {"N": "0.0012"}}, 1 + 2),
        ({"b": {"BOOL": True}}, 1 + 1),
        ({"b": {"NULL": True}}, 1 + 1),
        ({"b": {"B": b"1234"}}, 1 + 4),
        ({"s": {"SS": ["ab", "c"]}}, 1 + 3),
        ({"l": {"L": []}}, 1 + 3),
        ({"l": {"L": [{"S": "ab"}, {"N": "7"}]}}, 1 + 3 + (1 + 2) + (1 + 2)),
        ({"m": {"M": {"key": {"S": "ab"}}}}, 1 + 3 + (1 + 3 + 2)),
    ],
)
def test_an_item_is_as_large_as_its_names_and_values(item: dict[str, Any], size: int) -> None:
    assert item_bytes(item) == size


@pytest.mark.parametrize(("size", "wanted"), [(0, 1), (1, 1), (1024, 1), (1025, 2), (2048, 2), (2049, 3)])
def test_a_unit_is_every_kibibyte_begun(size: int, wanted: int) -> None:
    assert units(size) == wanted


def an_item(size: int, **attributes: str) -> dict[str, Any]:
    """An item of so many bytes."""
    item = {name: {"S": value} for name, value in {"pk": "p", "sk": "s", **attributes}.items()}
    return {**item, "x": {"S": "-" * (size - item_bytes(item) - 1)}}


@pytest.mark.parametrize(
    ("old", "new", "transactional", "wanted"),
    [
        (None, an_item(1000), False, 1),
        (None, an_item(1000), True, 2),
        (an_item(3000), an_item(1000), False, 3),
        (an_item(1000), an_item(3000), True, 6),
        (None, an_item(1000, by_time="1"), False, 1 + 1),
        (None, an_item(1000, pending_jobs_pk="1"), False, 1),
        (None, an_item(1000, pending_jobs_pk="1", pending_jobs_sk="2"), False, 1 + 1),
        (an_item(1000, by_time="1"), an_item(2000, by_time="1"), False, 2),
        (an_item(1000, by_time="1"), an_item(1000, by_time="2"), False, 1 + 2),
        (an_item(900, pending_jobs_pk="1", pending_jobs_sk="2"), an_item(900), False, 1 + 1),
        (an_item(900, pending_jobs_pk="1", pending_jobs_sk="2"), an_item(900), True, 2 + 2),
    ],
)
def test_a_put_costs_the_larger_item_its_index_entries_and_double_in_a_transaction(
    old: Any, new: Any, transactional: bool, wanted: int
) -> None:
    assert put_units(old, new, INDEXED, transactional=transactional) == wanted


def test_a_failed_condition_costs_what_the_item_there_would() -> None:
    assert failed_put_units(None) == 1
    assert failed_put_units(an_item(2500)) == 3
    assert failed_put_units(an_item(2500), transactional=True) == 6
    assert index_units(an_item(1, by_time="1"), an_item(1, by_time="1"), INDEXED) == 0

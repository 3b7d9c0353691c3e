"""Golden items of rebalances: the items of each release are read for ever, and this release writes them unchanged."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from trimtab.contracts.stored_form import UnknownForm
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Mode, OnIncomplete
from trimtab.portfolios.portfolio.watch_state import Trigger
from trimtab.portfolios.rebalancing.drift import CASH, Leg
from trimtab.portfolios.rebalancing.journal import (
    BUYS,
    FIRST_TOP_UP,
    SELLS,
    Execution,
    ExecutionPolicy,
    Funds,
    client_order_id_of,
    pack_execution,
    unpack_execution,
)
from trimtab.portfolios.rebalancing.model import Reason, Rebalance, RebalanceStatus, Withdrawal
from trimtab.portfolios.rebalancing.orders import Commission, Order, OrderStatus, RefusalKind, SkippedLeg
from trimtab.portfolios.rebalancing.report_decision import DriftReport

GOLDEN = Path(__file__).parents[2] / "golden/rebalancing"
TIME = datetime(2026, 1, 2, 15, 30, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
REBALANCE_ID = "66666666-7777-5888-8999-000000000000"
REPORT = DriftReport(
    user_id="1",
    name="default",
    weights={"stocks": Decimal(70), "bonds": Decimal("19.5"), "gold": Decimal("10.5")},
    as_of=None,
    request_id="r-1",
)
REQUESTED = Rebalance(
    tenant_id="demo",
    portfolio_id="11111111-2222-5333-8444-555555555555",
    rebalance_id=REBALANCE_ID,
    user_id="1",
    name="default",
    request_id="r-1",
    request_hash=REPORT.request_hash(),
    weights=REPORT.weights,
    as_of=TIME,
    as_of_given=False,
    created_at=TIME,
    updated_at=TIME,
    resends=2,
)
LEGS = (
    Leg("stocks", Decimal(70), Decimal(60), Decimal(-10)),
    Leg("bonds", Decimal("19.5"), Decimal(30), Decimal("10.5")),
    Leg("gold", Decimal("10.5"), Decimal(10), Decimal("-0.5")),
)
DECIDED = REQUESTED.record_outcome(
    RebalanceStatus.COMPLETED,
    Reason("outside_band", "At least one weight is outside its band.", {"drift": "10.5", "outside": 2}),
    TIME + HOUR,
    LEGS,
)


def order_of(symbol: str, side: Side, wave: int, **members: Any) -> Order:
    """Return an order of 12.5 units at 101.1, with these members."""
    common = {"quantity": Decimal("12.5"), "price": Decimal("101.1")}
    reverses = client_order_id_of(REBALANCE_ID, symbol, SELLS) if BUYS < wave < FIRST_TOP_UP else None
    client_order_id = client_order_id_of(REBALANCE_ID, symbol, wave)
    return Order(client_order_id, symbol, side, wave=wave, reverses=reverses, **{**common, **members})


EXECUTION = Execution(
    orders=(
        order_of(
            "AAPL",
            Side.SELL,
            SELLS,
            limit_price=Decimal("100.089"),
            status=OrderStatus.FILLED,
            broker_id="b-1",
            attempts=2,
            filled=Decimal("12.5"),
            amount=Decimal("1263.75"),
            fees=Decimal("0.35"),
            is_posted=True,
        ),
        order_of("MSFT", Side.BUY, BUYS, limit_price=Decimal("102.111"), status=OrderStatus.ENDED, reason="rejected"),
        order_of("AAPL", Side.BUY, BUYS + 1),
    ),
    skipped=(SkippedLeg("GOOG", Side.BUY, Decimal("0.75"), "minimum_trade"),),
    policy=ExecutionPolicy(Decimal(1), False, OnIncomplete.COMPENSATE, OnIncomplete.KEEP),
    deadline=TIME + 6 * HOUR,
    wave=BUYS,
    wave_started_at=TIME + HOUR,
    fence=3,
    lease_until=1767371400123,
    wake_at=TIME + 2 * HOUR,
    polls=4,
    resumes=1,
    is_cancelled=True,
)
EXECUTING = replace(
    REQUESTED,
    as_of_given=True,
    status=RebalanceStatus.COMPENSATING,
    trigger=Trigger.PRICE,
    mode=Mode.FULL,
    legs=(*LEGS, Leg(CASH, Decimal(0), Decimal(0))),
    weights={leg.asset: leg.weight for leg in (*LEGS, Leg(CASH, Decimal(0), Decimal(0)))},
    reason=Reason("order_refused", "MSFT was rejected.", {"prices": {"AAPL": "101.1"}}),
    execution=EXECUTION,
    resends=0,
    version=9,
)
RESOLVED = replace(
    EXECUTING,
    status=RebalanceStatus.RESOLVED,
    is_stuck=True,
    resolution={"by": "ann", "reason": "counted", "holdings": {"AAPL": ["0", "12.5"]}, "cash": ["1", None]},
)
WAITING = replace(REQUESTED, trigger=Trigger.MANUAL).wait_until(
    TIME + timedelta(hours=23), Reason("market_closed", "Orders wait.", {"closed": ["AAPL"]}), TIME
)
WITHDRAWAL = replace(REQUESTED, trigger=Trigger.WITHDRAWAL, withdrawal=Withdrawal(Decimal("200.5"), is_paid=True))
TOPPED_UP = Execution(
    orders=(
        order_of(
            "MSFT",
            Side.BUY,
            SELLS,
            limit_price=Decimal("102.111"),
            status=OrderStatus.FILLED,
            filled=Decimal("12.5"),
            amount=Decimal("1263.75"),
            is_posted=True,
            filled_at=1767367801123,
        ),
        order_of("MSFT", Side.BUY, FIRST_TOP_UP, limit_price=Decimal("102.111"), quantity=Decimal("0.1")),
        order_of("AAPL", Side.SELL, SELLS, status=OrderStatus.ENDED, refusal=RefusalKind.PERMANENT),
    ),
    skipped=(),
    policy=ExecutionPolicy(
        Decimal(1), False, OnIncomplete.COMPENSATE, OnIncomplete.KEEP, Decimal(1_000_000), Decimal("40000")
    ),
    deadline=TIME + 6 * HOUR,
    wave=FIRST_TOP_UP,
    wave_started_at=TIME + HOUR,
    waits_for="market_closed",
    funds=Funds(Decimal("1300.00"), Decimal("3.25"), Decimal("10.00")),
    commission=Commission(Decimal("0.35"), Decimal("0.1")),
    earlier_waves={SELLS: TIME},
    unrestored={"AAPL": Decimal("0.25")},
)
WITH_HISTORY = replace(
    EXECUTING,
    status=RebalanceStatus.EXECUTING,
    execution=TOPPED_UP,
    history={RebalanceStatus.PLANNED: 1767367800123, RebalanceStatus.EXECUTING: 1767367801123},
)
IN_YEN = replace(
    WITHDRAWAL,
    status=RebalanceStatus.EXECUTING,
    execution=replace(TOPPED_UP, currency="JPY"),
    withdrawal=Withdrawal(Decimal(200), currency="JPY"),
)
TRACED = replace(
    IN_YEN,
    trace="S_kvNXezTaajzpKdDg5HNgDwZ6oLqQK3",
    execution=replace(
        TOPPED_UP,
        orders=(*TOPPED_UP.orders[:2], replace(TOPPED_UP.orders[2], ended_at=1767367802123)),
    ),
)
RECORDS = {
    "rebalance_normalised": replace(REQUESTED, normalised_sum=Decimal("99.996666666666672")),
    "rebalance_requested": REQUESTED,
    "rebalance_decided": DECIDED,
    "rebalance_executing": EXECUTING,
    "rebalance_resolved": RESOLVED,
    "rebalance_waiting": WAITING,
    "rebalance_withdrawal": WITHDRAWAL,
    "rebalance_topped_up": WITH_HISTORY,
    "rebalance_yen": IN_YEN,
    "rebalance_traced": TRACED,
}


def golden(name: str) -> dict[str, Any]:
    """Return a golden item."""
    item: dict[str, Any] = json.loads((GOLDEN / f"{name}.v1.json").read_text())
    return item


@pytest.mark.parametrize("name", RECORDS)
def test_a_golden_item_is_read_and_written_unchanged(name: str) -> None:
    record = RECORDS[name]
    read = Rebalance.from_item(golden(name))
    assert (read, read.trace) == (record, record.trace)
    written = {name: value for name, value in record.to_item().items() if value is not None}
    assert json.loads(json.dumps(written)) == golden(name)
    assert replace(Rebalance.from_item(golden(name)), events=record.events).to_item() == record.to_item()


def test_every_golden_item_is_tested() -> None:
    assert {path.name.removesuffix(".v1.json") for path in GOLDEN.glob("*.json")} == {*RECORDS, "execution"}


def test_the_golden_journal_is_read_and_written_unchanged() -> None:
    text = (GOLDEN / "execution.v1.json").read_text().strip()
    assert unpack_execution(text, REBALANCE_ID) == EXECUTION
    assert pack_execution(EXECUTION) == text


def test_a_long_journal_is_compressed_and_read_back() -> None:
    orders = EXECUTION.orders * 1000
    text = pack_execution(replace(EXECUTION, orders=orders))
    assert text.startswith("zlib:")
    assert unpack_execution(text, REBALANCE_ID).orders == orders


def test_a_journal_without_later_added_members_is_read_with_the_defaults() -> None:
    """An added member is like a member that an older text does not have."""
    journal = json.loads(pack_execution(EXECUTION))
    del journal["polls"]
    position = journal["orders"]["columns"].index("is_posted")
    for row in [journal["orders"]["columns"], *journal["orders"]["rows"]]:
        del row[position : position + 1]
    found = unpack_execution(json.dumps(journal), REBALANCE_ID)
    assert (found.polls, found.fence) == (0, EXECUTION.fence)
    assert [order.is_posted for order in found.orders] == [False] * 3
    assert [order.reason for order in found.orders] == [None, "rejected", None]


def test_unknown_members_of_a_newer_item_are_ignored() -> None:
    item = {**golden("rebalance_executing"), "priority": "high"}
    item["legs"] = json.dumps({**json.loads(item["legs"]), "cost": [1, 2, 3, 4]})
    item["reason"] = json.dumps({**json.loads(item["reason"]), "severity": "low"})
    journal = json.loads(item["execution"])
    journal["orders"]["columns"].insert(0, "venue")
    journal["orders"]["rows"] = [["XNAS", *row] for row in journal["orders"]["rows"]]
    item["execution"] = json.dumps({**journal, "note": "new"})
    assert Rebalance.from_item(item) == EXECUTING


def test_a_journal_of_an_unknown_form_is_refused() -> None:
    journal = {**json.loads(pack_execution(EXECUTION)), "v": 2}
    with pytest.raises(UnknownForm, match="journal"):
        unpack_execution(json.dumps(journal), REBALANCE_ID)


def test_an_item_of_an_unknown_form_is_refused() -> None:
    with pytest.raises(UnknownForm, match="rebalance"):
        Rebalance.from_item({**golden("rebalance_decided"), "v": 2})


def test_the_request_hash_of_version_1_never_changes() -> None:
    """A stored rebalance keeps the hash, so another hash of the same report would turn every retry into a conflict."""
    assert REPORT.request_hash() == "1:eb3983ca09b4b1577255fae97b763498"
    assert replace(REPORT, as_of=TIME).request_hash() == "1:f49f08eaa6d88db2d6f246cfaf0669f9"
    assert REPORT.matches(REQUESTED)
    assert not replace(REPORT, name="other").matches(REQUESTED)


def test_a_request_hash_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(UnknownForm, match="request hash"):
        REPORT.matches(replace(REQUESTED, request_hash="2:0"))

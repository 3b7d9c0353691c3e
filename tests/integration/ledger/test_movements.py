"""Movements of units and of cost without a trade: their figures, their refusals, corrections, exports and returns."""

from datetime import date
from decimal import Decimal
from typing import Any

import boto3
import pytest

from tests.integration.ledger.test_exports import copy_of, export
from tests.support.moto_state import stored_items
from tests.support.system import MARKET_TABLE, TABLE, System
from tests.support.trading import Account, account, counts, csv_file, day, ledger_items, quote, refused, split, trade
from trimtab.analytics.domain.series import compute_daily_values
from trimtab.portfolios.ledger.history import LedgerHistory
from trimtab.portfolios.ledger.store import LedgerStore

EVERY_KIND: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("in", "transfer_in", {"quantity": 10, "amount": "900.00", "acquired_on": "2019-06-03"}),
    ("free", "free_shares", {"quantity": 2}),
    ("capital", "return_of_capital", {"amount": "30.00"}),
    ("child", "spin_off", {"symbol": "CHILD", "quantity": 4, "amount": "100.00", "spun_off_from": "AAPL"}),
    ("out", "transfer_out", {"quantity": 6}),
    ("lost", "write_off", {"quantity": 1, "symbol": "CHILD"}),
)


@pytest.fixture
def mine(system: System) -> Account:
    """A portfolio with 1,000.00 of cash, where each trade changes cash."""
    mine = account(system)
    mine.cash("opening", "deposit", "1000", 0)
    return mine


def move(mine: Account, ref_id: str, kind: str, at: float, **members: Any) -> Any:
    """Record a movement on a day of the tests' time."""
    body = {"ref_id": ref_id, "kind": kind, "security_type": "stock", "symbol": "AAPL", "executed_at": day(at)}
    return mine.post_trade({**body, **members})


def moved(mine: Account, ref_id: str, kind: str, at: float, **members: Any) -> Any:
    """Record a movement and return its view."""
    answer = move(mine, ref_id, kind, at, **members)
    assert answer.status == 201, answer.text
    return answer.json


def cash(mine: Account) -> str:
    """Return the cash balance."""
    return str(mine.holdings()["cash"])


def profit(mine: Account) -> tuple[str, str]:
    """Return realised and total profit."""
    view = mine.system.http("GET", f"{mine.home}/cumulative-returns").json
    return view["realised"], view["total"]


# Figures --------------------------------------------------------------------------------------------------------------


def test_units_transferred_in_bring_their_cost_and_move_no_cash(mine: Account) -> None:
    mine.record("a", "BUY", 10, 500, 1)
    view = moved(mine, "in", "transfer_in", 2, quantity=10, amount="300.004", acquired_on="2019-06-03")
    assert (view["kind"], view["side"], view["price"]) == ("transfer_in", "BUY", "30.000400000")
    assert (view["acquired_on"], view["amount"]) == ("2019-06-03", "300.004")
    assert (mine.sums(), cash(mine)) == (("20", "800.00", "0.00"), "500.00")
    mine.record("b", "SELL", 5, 250, 3)
    assert mine.sums() == ("15", "600.00", "50.00")  # 250.00 less 5/20 of 800.00


def test_units_transferred_out_leave_at_average_cost_and_realise_nothing(mine: Account) -> None:
    mine.record("a", "BUY", 10, 500, 1)
    assert moved(mine, "out", "transfer_out", 2, quantity=4)["side"] == "SELL"
    assert (mine.sums(), cash(mine), profit(mine)[0]) == (("6", "300.00", "0.00"), "500.00", "0.00")
    refused(move(mine, "more", "transfer_out", 3, quantity="6.1"), 422, "insufficient_quantity")


def test_free_shares_lower_the_average_cost(mine: Account) -> None:
    mine.record("a", "BUY", 10, 500, 1)
    assert moved(mine, "free", "free_shares", 2, quantity=10)["price"] == "0.000000000"
    assert (mine.sums(), cash(mine)) == (("20", "500.00", "0.00"), "500.00")
    mine.record("b", "SELL", 5, 200, 3)
    assert mine.sums() == ("15", "375.00", "75.00")  # 200.00 less 5/20 of 500.00


def test_a_write_off_realises_the_cost_as_a_loss(mine: Account) -> None:
    mine.record("a", "BUY", 10, 500, 1)
    moved(mine, "lost", "write_off", 2, quantity=4)
    assert (mine.sums(), cash(mine)) == (("6", "300.00", "-200.00"), "500.00")
    moved(mine, "rest", "write_off", 3, quantity=6)
    assert (mine.sums(), profit(mine)) == (("0", "0.00", "-500.00"), ("-500.00", "-500.00"))


def test_a_return_of_capital_lowers_the_cost_and_only_its_excess_is_profit(mine: Account) -> None:
    mine.record("a", "BUY", 10, 500, 1)
    view = moved(mine, "first", "return_of_capital", 2, amount="120.005")
    assert (view["quantity"], view["price"]) == ("0.000000000", None)
    assert (mine.sums(), cash(mine)) == (("10", "379.99", "0.00"), "620.01")
    moved(mine, "second", "return_of_capital", 3, amount="400.00")
    assert (mine.sums(), cash(mine)) == (("10", "0.00", "20.01"), "1020.01")
    income = mine.system.http("GET", f"{mine.home}/income").json
    assert (income["items"], income["total"]["net"]) == ([], "0.00")
    quote(mine.system, "10.00")
    assert profit(mine) == ("20.01", "120.01")  # 10 at 10.00 cost nothing


def test_a_spin_off_moves_cost_from_the_parent_to_the_new_units(mine: Account) -> None:
    mine.record("a", "BUY", 10, 500, 1)
    view = moved(mine, "s", "spin_off", 2, symbol="CHILD", quantity=4, amount="125.00", spun_off_from="AAPL")
    assert (view["symbol"], view["spun_off_from"], view["price"]) == ("CHILD", "AAPL", "31.250000000")
    assert (mine.sums(), mine.sums("CHILD"), cash(mine)) == (
        ("10", "375.00", "0.00"),
        ("4", "125.00", "0.00"),
        "500.00",
    )
    rows = [(each["ref_id"], each["symbol"], each["side"], each["quantity"]) for each in mine.trades()["items"][:2]]
    assert sorted(rows) == [("s", "AAPL", "SELL", "0.000000000"), ("s", "CHILD", "BUY", "4.000000000")]
    parent = mine.trades(symbol="AAPL")["items"][0]
    assert (parent["kind"], parent["spun_off_from"], parent["amount"]) == ("spin_off", None, "125.00")


def test_a_spin_off_is_corrected_and_made_void_as_one(mine: Account) -> None:
    mine.record("a", "BUY", 10, 500, 1)
    mine.record("o", "BUY", 10, 100, 1, symbol="OTHER")
    moved(mine, "s", "spin_off", 2, symbol="CHILD", quantity=4, amount="125.00", spun_off_from="AAPL")
    assert mine.correct("s", amount="200", quantity=5).json["revision"] == 2
    assert (mine.sums(), mine.sums("CHILD")) == (("10", "300.00", "0.00"), ("5", "200.00", "0.00"))
    assert mine.correct("s", symbol="OTHER").status == 200
    assert (mine.sums(), mine.sums("CHILD"), mine.sums("OTHER")) == (
        *(("10", "300.00", "0.00"), ("0", "0.00", "0.00"), ("15", "300.00", "0.00")),
    )
    refused(mine.correct("s", symbol="AAPL"), 422, "not_of_kind")
    refused(mine.correct("s", amount="500.01"), 422, "insufficient_cost")
    assert mine.correct("s", status="failed").status == 200
    assert (mine.sums(), mine.sums("OTHER")) == (("10", "500.00", "0.00"), ("10", "100.00", "0.00"))
    assert mine.correct("s", status="success").status == 200
    assert (mine.sums(), mine.sums("OTHER")) == (("10", "300.00", "0.00"), ("15", "300.00", "0.00"))


def test_a_spin_off_takes_at_most_the_cost_of_the_parent_at_any_time(mine: Account) -> None:
    mine.record("a", "BUY", 10, 500, 1)
    child = {"symbol": "CHILD", "quantity": 4, "spun_off_from": "AAPL"}
    problem = refused(move(mine, "s", "spin_off", 2, amount="500.01", **child), 422, "insufficient_cost")
    assert "takes a cost of 500.01 from AAPL, whose cost basis is 500" in problem["detail"]
    refused(move(mine, "s", "spin_off", 0.5, amount="1", **child), 422, "insufficient_quantity")
    moved(mine, "s", "spin_off", 2, amount="400", **child)
    refused(mine.record("early", "SELL", 5, 300, 1.5), 422, "insufficient_cost")
    refused(mine.correct("a", amount="399"), 422, "insufficient_cost")
    assert mine.correct("a", amount="400").status == 200
    assert mine.sums() == ("10", "0.00", "0.00")


def test_a_split_between_movements_changes_only_quantities(mine: Account) -> None:
    moved(mine, "in", "transfer_in", 1, quantity=10, amount="500")
    assert split(mine.system, 2, 2).status == 200
    moved(mine, "out", "transfer_out", 3, quantity=5)
    moved(mine, "capital", "return_of_capital", 4, amount="75")
    assert mine.sums() == ("15", "300.00", "0.00")


# Requests -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "members", "said"),
    [
        ("transfer_in", {"quantity": 1, "amount": 1, "side": "SELL"}, "has the side BUY"),
        ("transfer_in", {"quantity": 1, "amount": 1, "fees": 1}, "has no fees"),
        ("transfer_out", {"quantity": 1, "amount": 1}, "has no amount"),
        ("transfer_out", {"quantity": 1, "acquired_on": "2020-01-02"}, "has no `acquired_on`"),
        ("free_shares", {"quantity": 1, "price": 1}, "has no amount and no price"),
        ("write_off", {"quantity": 1, "spun_off_from": "B"}, "has no `spun_off_from`"),
        ("return_of_capital", {"quantity": 1, "amount": 1}, "has no quantity"),
        ("spin_off", {"quantity": 1, "amount": 1}, "needs `spun_off_from`"),
        ("spin_off", {"quantity": 1, "amount": 1, "spun_off_from": "AAPL"}, "needs `spun_off_from`"),
        ("trade", {"quantity": 1, "amount": 1, "side": "BUY", "spun_off_from": "B"}, "has no `spun_off_from`"),
    ],
)
def test_a_value_that_the_kind_does_not_have_is_refused(
    mine: Account, kind: str, members: dict[str, Any], said: str
) -> None:
    before = stored_items()
    assert said in refused(move(mine, "m", kind, 1, **members), 422, "not_of_kind")["detail"]
    assert stored_items() == before


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("trade", {"quantity": 1, "amount": 1}),
        ("transfer_in", {"quantity": 1}),
        ("transfer_out", {}),
        ("return_of_capital", {}),
        ("gift", {"quantity": 1}),
    ],
)
def test_a_movement_without_a_value_that_its_kind_needs_is_invalid(
    mine: Account, kind: str, members: dict[str, Any]
) -> None:
    refused(move(mine, "m", kind, 1, **members), 400, "invalid_request")


def test_a_correction_keeps_to_the_kind(mine: Account) -> None:
    moved(mine, "in", "transfer_in", 1, quantity=10, amount="500")
    moved(mine, "out", "transfer_out", 2, quantity=5)
    for changes in ({"fees": 1}, {"side": "SELL"}):
        refused(mine.correct("in", **changes), 422, "not_of_kind")
    refused(mine.correct("out", amount=5), 422, "not_of_kind")
    refused(mine.correct("in", quantity=4), 422, "insufficient_quantity")
    assert mine.correct("in", amount="400", quantity=8).status == 200
    assert mine.sums() == ("3", "150.00", "0.00")


def test_a_repeated_movement_gets_the_first_answer_and_another_under_its_id_is_refused(mine: Account) -> None:
    for ref_id, kind, members in EVERY_KIND:
        first = moved(mine, ref_id, kind, 1, **members)
        before = stored_items()
        assert move(mine, ref_id, kind, 1, **members).json == first
        assert stored_items() == before
    refused(move(mine, "free", "transfer_in", 1, quantity=2, amount=1), 409, "ref_id_reused")
    refused(move(mine, "child", "spin_off", 1, **{**EVERY_KIND[3][2], "spun_off_from": "MSFT"}), 409, "ref_id_reused")


def test_a_spin_off_without_a_time_comes_after_the_trades_of_both_symbols(mine: Account) -> None:
    mine.record("a", "BUY", 10, 500)
    body = {"ref_id": "s", "kind": "spin_off", "security_type": "stock", "symbol": "CHILD"}
    answer = mine.post_trade({**body, "quantity": 1, "amount": 100, "spun_off_from": "AAPL"})
    assert answer.status == 201, answer.text
    assert mine.sums() == ("10", "400.00", "0.00")


def test_both_items_of_a_spin_off_are_stored_and_only_one_event_is_published(mine: Account) -> None:
    mine.record("a", "BUY", 10, 500, 1)
    moved(mine, "s", "spin_off", 2, symbol="CHILD", quantity=4, amount="125.00", spun_off_from="AAPL")
    items = {item["sk"]["S"]: item for item in ledger_items()}
    assert set(items) == {"CASH#opening", "TRADE#C#a", "TRADE#C#s", "TRADE#S#s"}
    assert "events" not in items["TRADE#S#s"]
    assert '"kind":"spin_off","spun_off_from":"AAPL"' in items["TRADE#C#s"]["events"]["S"]


# Files ----------------------------------------------------------------------------------------------------------------


def record_every_kind(mine: Account) -> None:
    """Record a movement of each kind, one on each day."""
    for at, (ref_id, kind, members) in enumerate(EVERY_KIND, 1):
        moved(mine, ref_id, kind, at, **members)


def test_an_export_of_every_kind_imported_into_another_portfolio_gives_the_same_holdings(mine: Account) -> None:
    record_every_kind(mine)
    # 900.00 and nothing for 12, less 30.00 and 100.00; half of them leave. One of four new units is lost.
    assert (mine.sums(), mine.sums("CHILD"), cash(mine)) == (
        *(("6", "385.00", "0.00"), ("3", "75.00", "-25.00"), "1030.00"),
    )
    copy = copy_of(mine)
    assert copy.holdings() == mine.holdings()
    assert export(copy, "trades") == export(mine, "trades")
    again = copy.upload(export(mine, "trades")[0])
    assert (again.json["recorded"], again.json["already_recorded"]) == (0, len(EVERY_KIND))


def test_many_spin_offs_of_a_file_are_recorded_and_undone_with_both_sides(mine: Account) -> None:
    columns = "ref_id,kind,side,security_type,symbol,quantity,amount,executed_at,spun_off_from"
    rows = [f"s{number},Spin_Off,,stock,B{number},1,2.00,{day(2 + number / 100)},AAPL" for number in range(100)]
    mine.record("a", "BUY", 10, 500, 1)
    recorded = mine.import_file("\n".join([columns, *reversed(rows)]))
    assert (recorded["status"], recorded["recorded"]) == ("COMPLETED", 100)
    assert (mine.sums(), mine.sums("B99")) == (("10", "300.00", "0.00"), ("1", "2.00", "0.00"))
    assert len(ledger_items()) == 202
    assert counts(mine.import_file("\n".join([columns, *rows[:40]]))) == (0, 40)
    assert mine.undo(recorded["import_id"]).status == 202
    assert mine.system.process_recalculations() == 1
    assert (mine.sums(), mine.sums("B99"), len(ledger_items())) == (("10", "500.00", "0.00"), None, 2)


def test_a_row_with_a_value_that_its_kind_does_not_have_is_named(mine: Account) -> None:
    rows = [trade("a", "BUY", 1, 5, 1), {**trade("b", "SELL", 1, 5, 2), "kind": "transfer_out"}]
    lines = csv_file(rows).splitlines()
    text = "\n".join([f"{lines[0]},kind", f"{lines[1]},", f"{lines[2]},transfer_out"])
    problem = refused(mine.upload(text), 400, "invalid_rows")
    assert [error["field"] for error in problem["errors"]] == ["line 3"]
    assert "has no amount" in problem["errors"][0]["detail"]


# Returns --------------------------------------------------------------------------------------------------------------


def test_only_transfers_are_flows_and_at_the_value_of_their_day(mine: Account) -> None:
    """The closes are 100, 110, 90, 95, 95 and 100; those of the child 20."""
    record_every_kind(mine)
    names = ("demo", mine.portfolio["portfolio_id"], None)
    history = LedgerHistory(LedgerStore(boto3.client("dynamodb"), TABLE, MARKET_TABLE))
    days = [date(2024, 1, number) for number in range(2, 8)]
    prices = dict(zip(days, map(Decimal, (100, 110, 90, 95, 95, 100)), strict=True))
    closes = {"AAPL": prices, "CHILD": dict.fromkeys(days, Decimal(20))}
    movements = history.cash_movements(*names)
    found = compute_daily_values(history.trades(*names), movements, {}, closes, days)
    assert [(int(each.value), int(each.flow)) for each in found] == [
        (2000, 2000),  # a deposit of 1,000.00, and 10 at 100, whatever they cost
        (2320, 0),  # 12 at 110: two free shares are a result
        (2110, 0),  # 12 at 90 and 30 of capital
        (2250, 0),  # 12 at 95 and 4 at 20
        (1680, -570),  # 6 of 12 leave at 95
        (1690, 0),  # 6 at 100, 3 at 20 and 1,030 of cash
    ]

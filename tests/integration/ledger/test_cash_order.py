"""Cash follows from the times of all entries: the order of entry, over the API or by import, changes nothing."""

from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.analytics import ValuedPortfolio, at_time, store_bars
from tests.support.moto_state import clear_all, fast_transactions, stored_items
from tests.support.system import MARKET_TABLE, TABLE, System, in_process_system
from tests.support.trading import Account, account, csv_file, day, ledger_items, quote, refused, trade
from trimtab.analytics.domain.series import compute_daily_values
from trimtab.portfolios.ledger.history import LedgerHistory
from trimtab.portfolios.ledger.store import LedgerStore

DEPOSIT = {"ref_id": "in", "type": "deposit", "amount": "10000", "executed_at": "2026-01-06T14:00:00Z"}
BUY = {**trade("t", "BUY", 30, None, price="160.14"), "executed_at": "2026-01-06T15:00:00Z"}


def setting(mine: Account, tracking: str) -> Any:
    """Set the portfolio's rule of cash and return the response."""
    return mine.system.http("PUT", f"{mine.home}/cash-tracking", {"cash_tracking": tracking})


@pytest.mark.parametrize("deposit_first", [True, False])
def test_a_deposit_and_a_later_buy_give_the_same_values_in_both_orders_of_entry(
    system: System, deposit_first: bool
) -> None:
    store_bars({"AAPL": {date(2026, 1, 6): "160.14", date(2026, 1, 7): "164.38"}})
    with at_time(datetime(2026, 1, 8, 3, tzinfo=UTC)):
        mine = account(system)
        valued = ValuedPortfolio(system, mine.portfolio)
        requests = [("cash", DEPOSIT), ("trades", BUY)]
        for path, body in requests if deposit_first else reversed(requests):
            assert system.http("POST", f"{mine.home}/{path}", body).status == 201
        valued.run_workers()
        days = valued.get("history", window="all").json["days"]
    # 10,000.00 less 30 at 160.14 is 5,195.80; 30 at 164.38 are 4,931.40.
    assert mine.holdings()["cash"] == "5195.80"
    assert [(each["day"], each["value"], each["cash"], each["flow"]) for each in days] == [
        ("2026-01-06", "10000.00", "5195.80", "10000.00"),
        ("2026-01-07", "10127.20", "5195.80", "0.00"),
    ]
    quote(system, "164.38", at=737)
    assert system.http("GET", mine.home).json["valuation"]["value"] == "10127.20"
    assert system.http("GET", f"{mine.home}/cumulative-returns").json["total"] == "127.20"


@pytest.mark.parametrize("deposit_first", [True, False])
def test_a_trade_before_the_earliest_cash_entry_is_paid_from_outside_in_both_orders(
    system: System, deposit_first: bool
) -> None:
    mine = account(system)
    steps: list[Any] = [lambda: mine.cash("in", "deposit", 100, 2), lambda: mine.record("t", "BUY", 1, 500, 1)]
    for step in steps if deposit_first else reversed(steps):
        assert step().status == 201
    view = system.http("GET", mine.home).json
    assert (view["cash"], view["cash_tracking"], view["cash_since"]) == (
        "100.00",
        "from_first_entry",
        "2024-01-03T00:00:00.000000Z",
    )


def test_an_earlier_entry_makes_the_trades_since_then_count(system: System) -> None:
    mine = account(system)
    mine.record("a", "BUY", 1, 40, 1)
    mine.record("b", "BUY", 1, 30, 3)
    mine.cash("late", "deposit", 10, 5)
    assert mine.holdings()["cash"] == "10.00"
    problem = refused(mine.cash("early", "deposit", 20, 2), 422, "insufficient_cash")
    assert "below zero from 2024-01-04T00:00:00.000000Z on, by 10 at the lowest" in problem["detail"]
    assert mine.cash("early", "deposit", 35, 2).status == 201
    assert mine.holdings()["cash"] == "15.00"  # 35 less 30, and 10


def test_a_late_entry_is_checked_at_every_later_instant(system: System) -> None:
    mine = account(system, cash="0")
    mine.cash("in", "deposit", 100, 1)
    mine.record("a", "BUY", 1, 80, 3)
    mine.record("b", "SELL", 1, 90, 5)
    assert mine.holdings()["cash"] == "110.00"
    problem = refused(mine.cash("out", "withdrawal", 50, 2), 422, "insufficient_cash")
    assert "from 2024-01-04T00:00:00.000000Z on, by 30 at the lowest" in problem["detail"]
    refused(mine.record("c", "BUY", 1, 21, 4, symbol="MSFT"), 422, "insufficient_cash")
    refused(mine.correct("b", executed_at=day(2)), 422, "insufficient_quantity")
    refused(mine.correct("a", amount="100.01"), 422, "insufficient_cash")
    assert mine.cash("out", "withdrawal", 20, 2).status == 201
    assert mine.record("d", "BUY", 1, 90, 5, symbol="MSFT").status == 201, "the sell of the same instant pays"
    assert mine.holdings()["cash"] == "0.00"


def test_margin_allows_negative_cash_and_ends_only_where_cash_never_was_negative(system: System) -> None:
    mine = account(system, cash_tracking="margin")
    assert mine.record("a", "BUY", 1, 80, 2).status == 201
    assert mine.holdings()["cash"] == "-80.00"
    problem = refused(setting(mine, "on"), 422, "insufficient_cash")
    assert "from 2024-01-03T00:00:00.000000Z on, by 80 at the lowest" in problem["detail"]
    mine.cash("in", "deposit", 100, 1)
    assert (setting(mine, "on").json["cash_tracking"], mine.holdings()["cash"]) == ("on", "20.00")
    refused(mine.record("b", "BUY", 1, 21, 3), 422, "insufficient_cash")


def test_untracked_cash_takes_no_entries_and_no_trades_count(system: System) -> None:
    mine = account(system, cash_tracking="off")
    assert mine.record("a", "BUY", 1, 80, 2).status == 201
    assert mine.holdings()["cash"] is None
    problem = refused(mine.cash("in", "deposit", 100, 1), 422, "cash_not_tracked")
    assert "cash_tracking" in problem["detail"]
    rows = f"ref_id,type,amount,executed_at\nin,deposit,100,{day(1)}\n"
    refused(mine.upload(rows, kind="cash"), 422, "cash_not_tracked")
    assert setting(mine, "from_first_entry").json["cash"] is None
    assert mine.upload(rows, kind="cash").status == 200
    assert mine.holdings()["cash"] == "20.00"
    refused(setting(mine, "off"), 422, "cash_is_tracked")


def test_another_rule_computes_the_balance_anew_and_requests_a_valuation_from_the_first_entry_on(
    system: System,
) -> None:
    mine = account(system)
    valued = ValuedPortfolio(system, mine.portfolio)
    mine.record("a", "BUY", 1, 40, 1)
    mine.record("b", "SELL", 1, 60, 2)
    mine.cash("in", "deposit", 100, 3)
    valued.events()
    assert mine.holdings()["cash"] == "100.00"
    refused(setting(mine, "on"), 422, "insufficient_cash")
    changed = setting(mine, "margin")
    assert (changed.json["cash"], changed.json["cash_since"]) == ("120.00", None)
    assert setting(mine, "margin").json == changed.json, "a repeat changes nothing"
    events = {event["type"]: event["data"] for event in valued.events()}
    assert events["cash.recounted"]["affects_from"] == "2024-01-02T00:00:00.000000Z"
    assert setting(mine, "from_first_entry").json["cash"] == "100.00"


def test_cash_at_creation_needs_a_rule_that_counts_every_trade(system: System) -> None:
    with pytest.raises(AssertionError, match="cash_tracking"):
        account(system, cash="5", cash_tracking="off")
    assert account(system, "2", cash="5").portfolio["cash_tracking"] == "on"
    assert account(system, "3", cash_tracking="on").portfolio["cash"] == "0.00"


def test_cash_of_an_earlier_release_keeps_its_balance_until_a_rule_is_set(system: System) -> None:
    """The earlier release counted the trades recorded after the first entry, and stored no rule."""
    mine = account(system)
    mine.record("a", "BUY", 1, 40, 1)
    mine.cash("in", "deposit", 100, 0)
    mine.record("b", "BUY", 1, 10, 2)
    strip_rule("90")
    assert mine.holdings()["cash"] == "90.00"
    refused(mine.record("c", "BUY", 1, 91, 3), 422, "insufficient_cash")
    assert mine.record("c", "BUY", 1, 20, 0.5).status == 201, "each new trade counts"
    assert mine.cash("more", "deposit", 5, -1).status == 201
    assert mine.holdings()["cash"] == "75.00"
    assert mine.correct("a", amount="50").status == 200, "recorded before the first entry: moves no cash"
    assert mine.holdings()["cash"] == "75.00"
    assert setting(mine, "from_first_entry").json["cash"] == "25.00", "all three buys are after the first entry"


def strip_rule(cash: str) -> None:
    """Bring the stored portfolio to what the earlier release stored; the trade `a` says that it moved no cash."""
    client = boto3.client("dynamodb")
    (item,) = (each for each in stored_items() if each["sk"]["S"] == "PORTFOLIO")
    kept = {name: value for name, value in item.items() if not name.startswith("cash_")}
    client.put_item(TableName=TABLE, Item={**kept, "cash": {"S": cash}})


# Ties at one instant --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
@pytest.mark.parametrize("sell_first", [True, False])
def test_at_one_instant_buys_come_before_sells_whatever_the_ids(
    system: System, names: tuple[str, str], sell_first: bool
) -> None:
    mine = account(system)
    mine.record("o", "BUY", 5, 50, 1)
    steps: list[Any] = [
        lambda: mine.record(names[0], "BUY", 5, 100, 2),
        lambda: mine.record(names[1], "SELL", 5, 100, 2),
    ]
    for step in reversed(steps) if sell_first else steps:
        assert step().status == 201
    assert mine.sums() == ("5", "75.00", "25.00")  # the average of both buys is 15


@pytest.mark.parametrize("sides", [("BUY", "SELL"), ("SELL", "BUY")])
def test_at_one_instant_an_import_keeps_the_order_of_its_file(system: System, sides: tuple[str, str]) -> None:
    mine = account(system)
    rows = [trade(f"r{number}", side, 5, 100, 2) for number, side in zip((2, 1), sides, strict=True)]
    assert mine.upload(csv_file([trade("o", "BUY", 5, 50, 1), *rows])).json["recorded"] == 3
    expected = ("5", "75.00", "25.00") if sides[0] == "BUY" else ("5", "100.00", "50.00")
    assert mine.sums() == expected
    mine.correct("o", amount="60")
    mine.correct("o", amount="50")
    assert mine.sums() == expected, "the recomputed holding is the same"


# Any order ------------------------------------------------------------------------------------------------------------

MOVEMENTS = ("transfer_in", "transfer_out", "free_shares", "write_off", "return_of_capital", "spin_off")
KINDS = st.sampled_from(["BUY", "BUY", "SELL", "deposit", "withdrawal", "dividend", "fee", *MOVEMENTS])
ENTRIES = st.lists(st.tuples(KINDS, st.sampled_from(["A", "B"]), st.integers(1, 9), st.integers(1, 99)), max_size=7)


def enter(mine: Account, number: int, entry: tuple[str, str, int, int]) -> int:
    """Record an entry on its day and return the status."""
    kind, symbol, quantity, amount = entry
    if kind in {"BUY", "SELL"}:
        return mine.record(f"t{number}", kind, quantity, amount, 1 + number // 2, symbol=symbol, fees="0.5").status
    if kind in MOVEMENTS:
        body = {"ref_id": f"m{number}", "kind": kind, "security_type": "stock", "symbol": symbol}
        values = {
            "quantity": None if kind == "return_of_capital" else quantity,
            "amount": amount if kind in {"transfer_in", "return_of_capital", "spin_off"} else None,
            "spun_off_from": {"A": "B", "B": "A"}[symbol] if kind == "spin_off" else None,
            "executed_at": day(1 + number // 2),
        }
        return mine.post_trade(body | {name: value for name, value in values.items() if value is not None}).status
    return mine.cash(f"c{number}", kind, amount, 1 + number // 2).status


def state(mine: Account) -> Any:
    """Return holdings, cash, profit, and the daily values that analytics computes from the ledger."""
    names = ("demo", mine.portfolio["portfolio_id"], None)
    history = LedgerHistory(LedgerStore(boto3.client("dynamodb"), TABLE, MARKET_TABLE))
    days = [date(2024, 1, number) for number in range(2, 10)]
    values = compute_daily_values(history.trades(*names), history.cash_movements(*names), {}, {}, days)
    holdings = [{**each, "updated_at": None} for each in mine.holdings()["items"]]
    profit = mine.system.http("GET", f"{mine.home}/cumulative-returns").json
    return holdings, mine.holdings()["cash"], profit, [(value.value, value.cash, value.flow) for value in values]


@pytest.mark.volume
def test_any_order_of_entry_gives_the_same_ledger() -> None:
    with in_process_system() as system, fast_transactions():

        @settings(max_examples=25, deadline=None)
        @given(entries=ENTRIES, order=st.randoms(use_true_random=False), tracking=st.sampled_from([None, "margin"]))
        def check(entries: list[tuple[str, str, int, int]], order: Any, tracking: str | None) -> None:
            results = []
            valid = [(0, ("deposit", "", 0, 5000)), *enumerate(entries, 2)]
            for shuffled in (False, True):
                clear_all()
                mine = account(system, "1", **({"cash_tracking": tracking} if tracking else {}))
                if not shuffled:
                    valid = [each for each in valid if enter(mine, *each) == 201]
                else:
                    left = order.sample(valid, len(valid))
                    for _ in valid:  # a sell is refused while its buy is not recorded
                        left = [each for each in left if enter(mine, *each) != 201]
                    assert not left
                results.append(state(mine))
            assert results[0] == results[1]

        check()


def test_files_of_trades_and_cash_give_the_same_ledger_in_any_order_and_over_the_api(system: System) -> None:
    trades = [trade("b", "BUY", 2, 40, 2), trade("s", "SELL", 1, 30, 4)]
    cash = [("in", "deposit", 100, 1), ("out", "withdrawal", 60, 3)]
    rows = [f"{ref},{type},{amount},{day(at)}" for ref, type, amount, at in cash]
    parts = {
        "trades": lambda mine: mine.upload(csv_file(trades)),
        "cash": lambda mine: mine.upload("\n".join(["ref_id,type,amount,executed_at", *rows]), kind="cash"),
    }
    found: list[Any] = []
    for order in permutations(parts):
        mine = account(system, str(len(found)))
        assert [parts[name](mine).status for name in order] == [200, 200]
        found.append(state(mine))
    mine = account(system, "api")
    for body in trades:
        assert mine.post_trade(body).status == 201
    mine.cash(*cash[0])
    mine.cash(*cash[1])
    assert [state(mine)] * 2 == found
    assert len(ledger_items()) == 12

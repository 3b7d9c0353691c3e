"""Corrections and back-dated trades: the holding is the fold of all successful trades in execution order."""

from typing import Any

import pytest

from tests.support.moto_state import stored_items
from tests.support.system import System, authorized
from tests.support.trading import Account, account, day, refused, split


@pytest.fixture
def mine(system: System) -> Account:
    """A portfolio of user 1."""
    return account(system)


TEN = [
    # trade                    cost of what is sold          quantity     cost  realised
    ("BUY", 10, "1000", "0"),  #                                   10  1000.00      0.00
    ("BUY", 10, "1200", "5"),  # 1000 + 1200 + 5                   20  2205.00      0.00
    ("SELL", 5, "650", "2"),  # 2205 * 5/20 = 551.25               15  1653.75     96.75 = 650 - 2 - 551.25
    ("BUY", 5, "500", "0"),  #                                     20  2153.75     96.75
    ("SELL", 8, "900", "0"),  # 2153.75 * 8/20 = 861.50            12  1292.25    135.25 = 96.75 + 38.50
    ("BUY", 4, "480", "1"),  #                                     16  1773.25    135.25
    ("SELL", 6, "720", "3"),  # 1773.25 * 6/16 = 664.96875         10  1108.28    187.28 = 135.25 + 720 - 3 - 664.97
    ("BUY", 10, "1300", "0"),  #                                   20  2408.28    187.28
    ("SELL", 15, "2100", "0"),  # 2408.28 * 15/20 = 1806.21         5   602.07    481.07 = 187.28 + 293.79
    ("BUY", 1, "150", "0"),  #                                      6   752.07    481.07
]
# The cash: 10,000 - 1000 - 1205 + 648 - 500 + 900 - 481 + 717 - 1300 + 2100 - 150 = 9,729.
BEFORE = ("6", "752.07", "481.07")
# The fifth trade is corrected to SELL 4 for 460. After the fourth: 20 units cost 2153.75, realised 96.75.
#  5  SELL  4   460          2153.75 * 4/20 = 430.75      16  1723.00   126.00 = 96.75 + 29.25
#  6  BUY   4   480 + 1                                   20  2204.00   126.00
#  7  SELL  6   720 - 3      2204 * 6/20 = 661.20         14  1542.80   181.80 = 126 + 717 - 661.20
#  8  BUY  10  1300                                       24  2842.80   181.80
#  9  SELL 15  2100          2842.80 * 15/24 = 1776.75     9  1066.05   505.05 = 181.80 + 323.25
# 10  BUY   1   150                                       10  1216.05   505.05; average 121.605
# The cash: 9,729 - 900 + 460 = 9,289.
AFTER = ("10", "1216.05", "505.05")


@pytest.mark.parametrize("order", [range(10), [0, 1, 3, 5, 7, 9, 8, 6, 4, 2]])
def test_ten_trades_with_a_correction_in_the_middle_match_a_calculation_by_hand(system: System, order: Any) -> None:
    mine = account(system, cash="10000")
    for number in order:
        side, quantity, amount, fees = TEN[number]
        assert mine.record(f"t{number + 1}", side, quantity, amount, number, fees=fees).status == 201
    assert (mine.sums(), mine.holdings()["cash"]) == (BEFORE, "9729.00")
    corrected = mine.correct("t5", quantity=4, amount="460")
    assert (corrected.status, corrected.json["price"]) == (200, "115.000000000")
    assert (mine.sums(), mine.holdings()["cash"]) == (AFTER, "9289.00")
    assert mine.holding()["average_cost"] == "121.605000000"
    mine.correct("t5", quantity=8, amount="900")
    assert (mine.sums(), mine.holdings()["cash"]) == (BEFORE, "9729.00")


def test_a_correction_that_makes_the_quantity_negative_at_any_time_is_refused(
    mine: Account,
) -> None:
    mine.record("a", "BUY", 10, 100, 1)
    mine.record("b", "SELL", 8, 100, 3)
    mine.record("c", "BUY", 10, 100, 5)  # 12 are held now, and only 2 were between the days 3 and 5
    before = stored_items()
    for change in ({"quantity": 7}, {"status": "failed"}, {"status": "pending"}, {"executed_at": day(4)}):
        refused(mine.correct("a", **change), 422, "insufficient_quantity")
    refused(mine.correct("b", quantity=11), 422, "insufficient_quantity")
    refused(mine.correct("b", executed_at=day(0)), 422, "insufficient_quantity")
    refused(mine.record("d", "SELL", 3, 1, 4), 422, "insufficient_quantity")
    assert stored_items() == before
    assert mine.correct("b", executed_at=day(6), quantity=20).status == 200  # later all are there
    assert mine.sums() == ("0", "0.00", "-100.00")


def test_a_trade_counts_only_while_its_status_is_success(mine: Account) -> None:
    mine.record("a", "BUY", 10, 100, 1)
    mine.record("b", "BUY", 10, 300, 2, status="pending")
    seen = [mine.sums()]
    for status in ("success", "failed", "success", "pending"):
        assert mine.correct("b", status=status).json["status"] == status
        seen.append(mine.sums())
    one, both = ("10", "100.00", "0.00"), ("20", "400.00", "0.00")
    assert seen == [one, both, one, both, one]
    assert mine.correct("a", status="failed").status == 200
    assert mine.sums() == ("0", "0.00", "0.00")
    assert mine.record("c", "BUY", 1, 1, 0).status == 201
    assert mine.sums() == ("1", "1.00", "0.00")


def test_the_history_has_the_earlier_members_with_author_and_time_of_each_correction(mine: Account) -> None:
    first = mine.record("a", "BUY", 10, 100, 1).json
    path = f"{mine.home}/trades/a"
    ann, bob = ({**authorized(), "subject": name} for name in ("ann", "bob"))
    one = mine.system.http("PATCH", path, {"quantity": "11.5"}, authorizer=ann).json
    two = mine.system.http("PATCH", path, {"amount": 90, "executed_at": day(2)}, authorizer=bob).json
    again = mine.system.http("PATCH", path, {"amount": "90.00", "quantity": "11.5"}, authorizer=ann).json
    assert again == two, "an equal value is no correction"
    assert (one["revision"], two["revision"], two["created_at"]) == (2, 3, first["created_at"])
    assert two["history"] == [
        {
            **{name: first[name] for name in ("side", "symbol", "quantity", "amount", "fees", "status", "executed_at")},
            **{"reason": None, "revision": 1, "corrected_by": "ann", "corrected_at": one["updated_at"]},
        },
        {
            **{name: one[name] for name in ("side", "symbol", "quantity", "amount", "fees", "status", "executed_at")},
            **{"reason": None, "revision": 2, "corrected_by": "bob", "corrected_at": two["updated_at"]},
        },
    ]
    assert mine.trades()["items"] == [two]
    refused(mine.correct("nobody", quantity=1), 404, "not_found")


def test_a_trade_moves_in_the_lists_when_its_time_is_corrected(mine: Account) -> None:
    mine.record("a", "BUY", 1, 1, 1)
    mine.record("b", "BUY", 1, 1, 2)
    mine.correct("a", executed_at=day(3))
    for query in ({}, {"symbol": "AAPL"}):
        assert [item["ref_id"] for item in mine.trades(**query)["items"]] == ["a", "b"]
    assert mine.trades(to=day(2))["items"] == []


@pytest.mark.volume
@pytest.mark.usefixtures("fast_moto")
def test_a_trade_is_corrected_a_hundred_times_at_most(mine: Account) -> None:
    mine.record("a", "BUY", 1, 1, 1)
    for number in range(100):
        assert mine.correct("a", quantity=2 + number).status == 200
    refused(mine.correct("a", quantity=1), 422, "too_many_corrections")
    assert mine.correct("a", quantity=101).json["revision"] == 101
    assert mine.record("a", "BUY", 1, 1, 1).json["quantity"] == "1.000000000"


def test_a_split_lies_between_the_trades_before_and_after_it_however_they_are_entered(mine: Account) -> None:
    """10 for 1000; split 4 for 1: 40 for 1000; 20 sold for 700 cost 500: 20 for 500, realised 200."""
    mine.record("a", "BUY", 10, 1000, 1)
    assert split(mine.system, 5, 4).status == 200
    assert mine.sums() == ("40", "1000.00", "0.00")
    assert mine.holding()["average_cost"] == "25.000000000"
    mine.record("b", "SELL", 20, 700, 6)
    assert mine.sums() == ("20", "500.00", "200.00")
    mine.record("c", "BUY", 5, 600, 2)  # back-dated: 60 for 1600, 20 of them cost 533.33, realised 166.67
    assert mine.sums() == ("40", "1066.67", "166.67")
    mine.correct("c", executed_at=day(6.5))  # after the split: 5 units are 5
    assert mine.sums() == ("25", "1100.00", "200.00")
    refused(mine.correct("a", quantity="4.999999999"), 422, "insufficient_quantity")  # 19.999999996 are not 20
    assert mine.correct("a", quantity=5).status == 200
    assert mine.sums() == ("5", "600.00", "-300.00")


@pytest.mark.parametrize("first_split", [True, False])
def test_a_split_that_is_entered_late_counts_from_its_day_and_a_reverse_one_too(
    mine: Account, first_split: bool
) -> None:
    """100 for 1000; 1 for 10: 10 for 1000; 5 bought for 500: 15 for 1500; 3 sold for 400 cost 300."""
    if first_split:
        split(mine.system, 2, 1, 10)
    mine.record("a", "BUY", 100, 1000, 1)
    mine.record("b", "BUY", 5, 500, 3)
    mine.record("c", "SELL", 3, 400, 4)
    if not first_split:
        split(mine.system, 2, 1, 10)
    assert mine.sums() == ("12", "1200.00", "100.00")
    mine.record("d", "BUY", 3, 300, 5)  # the stored holding has it too
    assert mine.sums() == ("15", "1500.00", "100.00")
    split(mine.system, 7, 3, 2)
    mine.record("e", "SELL", "22.5", 2000, 7)  # a split goes before a trade of its first instant
    assert mine.sums() == ("0", "0.00", "600.00")


def test_holdings_stay_readable_after_a_late_split_that_contradicts_recorded_sells(mine: Account) -> None:
    """An entry by an operator must not make a client's portfolio unreadable."""
    mine.record("a", "BUY", 10, 1000, 1)
    mine.record("b", "SELL", 10, 1100, 3)
    mine.record("z", "BUY", 1, 5, 1, symbol="MSFT")
    assert split(mine.system, 2, 1, 10).status == 200
    for what in ("holdings", "cumulative-returns"):
        answer = mine.system.http("GET", f"{mine.home}/{what}")
        assert answer.status == 200, answer.text


def test_the_security_type_does_not_depend_on_the_order_in_which_trades_are_recorded(system: System) -> None:
    kinds = []
    for user, order in (("1", (1, 2)), ("2", (2, 1))):
        mine = account(system, user)
        for at in order:
            mine.record(f"t{at}", "BUY", 1, 1, at, security_type="stock" if at == 1 else "etf")
        kinds.append(mine.holding()["security_type"])
    assert kinds[0] == kinds[1]

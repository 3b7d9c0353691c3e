"""Cash: tracked from the creation with cash or from the earliest entry on, and never negative from then on."""

from typing import Any

import pytest

from tests.support.moto_state import stored_items
from tests.support.system import System, authorized
from tests.support.trading import Account, account, day, refused


def test_each_cash_entry_changes_the_balance(system: System) -> None:
    mine = account(system, cash="100")
    steps = [("deposit", "50.25", "150.25"), ("fee", "0.25", "150.00"), ("dividend", "5", "155.00")]
    for number, (type, amount, balance) in enumerate([*steps, ("withdrawal", "155", "0.00")]):
        answer = mine.cash(f"c{number}", type, amount)
        assert (answer.status, mine.holdings()["cash"], answer.json["type"]) == (201, balance, type)
    before = stored_items()
    for type in ("withdrawal", "fee"):
        refused(mine.cash("d", type, "0.01"), 422, "insufficient_cash")
    assert stored_items() == before


def test_a_repeated_entry_gets_the_first_answer_and_another_entry_under_its_id_is_a_conflict(system: System) -> None:
    mine = account(system)
    first = mine.cash("c", "deposit", "10")
    mine.cash("d", "withdrawal", "10.00")
    again = mine.cash("c", "deposit", "10.00")
    assert (again.status, again.json) == (201, first.json)
    assert mine.cash("d", "withdrawal", 10).status == 201  # although nothing is left
    refused(mine.cash("c", "deposit", "11"), 409, "ref_id_reused")
    refused(mine.cash("c", "dividend", "10"), 409, "ref_id_reused")
    assert mine.holdings()["cash"] == "0.00"
    assert mine.record("c", "BUY", 1, 1, status="failed").status == 201, "trades and cash entries have separate ids"


@pytest.mark.parametrize("type", ["withdrawal", "fee"])
def test_untracked_cash_cannot_be_withdrawn(system: System, type: str) -> None:
    mine = account(system)
    refused(mine.cash("c", type, "1"), 422, "insufficient_cash")
    assert mine.holdings()["cash"] is None
    assert mine.record("a", "BUY", 10, 1000).status == 201, "trades need no tracked cash"
    assert mine.holdings()["cash"] is None


@pytest.mark.parametrize(("given", "first"), [("0", None), (None, "dividend")])
def test_trades_change_tracked_cash(system: System, given: Any, first: str | None) -> None:
    mine = account(system, cash=given) if given else account(system)
    if first:
        mine.cash("c0", first, "1", 0)
        mine.cash("c1", "fee", "1", 0)
    refused(mine.record("a", "BUY", 1, "10.00", 1), 422, "insufficient_cash")
    mine.cash("c2", "deposit", "10.50", 0)
    refused(mine.record("a", "BUY", 1, "10.00", 1, fees="0.51"), 422, "insufficient_cash")
    assert mine.record("a", "BUY", 1, "10.00", 1, fees="0.50").status == 201
    assert mine.holdings()["cash"] == "0.00"
    mine.record("b", "SELL", 1, "20.00", 2, fees="1.00")
    assert mine.holdings()["cash"] == "19.00"
    mine.cash("c3", "withdrawal", "15", 3)
    before = stored_items()
    refused(mine.correct("b", status="failed"), 422, "insufficient_cash")
    refused(mine.correct("a", amount="10.01"), 422, "insufficient_cash")
    assert stored_items() == before
    assert mine.correct("a", amount="6").status == 200
    assert mine.holdings()["cash"] == "8.00"


@pytest.mark.parametrize("change", [{"status": "failed"}, {"amount": "400"}])
def test_correcting_a_trade_that_moved_no_cash_pays_nothing_back(system: System, change: Any) -> None:
    """The trade was executed before the earliest cash entry, so nothing was paid."""
    mine = account(system)
    mine.record("a", "BUY", 10, 1000, 1)
    mine.cash("c", "deposit", 500)
    assert mine.correct("a", **change).status == 200
    assert mine.holdings()["cash"] == "500.00"


def test_a_sell_that_moved_no_cash_can_fail_after_cash_is_tracked(system: System) -> None:
    mine = account(system)
    mine.record("a", "BUY", 10, 1000, 1)
    mine.record("b", "SELL", 10, 1000, 2)
    mine.cash("c", "deposit", 500)
    assert mine.correct("b", status="failed").status == 200
    assert mine.holdings()["cash"] == "500.00"


@pytest.mark.parametrize(("given", "before"), [(None, "30.00"), ("7", "30.00")])
def test_a_reopened_portfolio_keeps_the_cash_of_its_ledger(system: System, given: Any, before: str) -> None:
    """The cash entries are still recorded, so the balance is their sum, whatever the new request states."""
    mine = account(system)
    mine.cash("c", "deposit", 40, 0)
    mine.record("a", "BUY", 1, 10, 1)
    system.http("DELETE", mine.home)
    account(system, **({"cash": given} if given else {}))
    assert (mine.sums(), mine.holdings()["cash"]) == (("1", "10.00", "0.00"), before)


def test_cash_entries_are_listed_by_time_in_pages_and_by_period(system: System) -> None:
    mine = account(system)
    for number in (2, 0, 3, 1):
        answer = system.http("POST", f"{mine.home}/cash", cash_body(f"c{number}", number + 1, number))
        assert answer.status == 201
    first = listed(mine, limit="3")
    assert [entry["ref_id"] for entry in first["items"]] == ["c3", "c2", "c1"]
    assert first["items"][0] == system.http("POST", f"{mine.home}/cash", cash_body("c3", 4, 3)).json
    rest = listed(mine, limit="3", cursor=first["next_cursor"])
    assert ([entry["ref_id"] for entry in rest["items"]], rest["next_cursor"]) == (["c0"], None)
    period = {"from": day(1), "to": day(3)}
    assert [entry["ref_id"] for entry in listed(mine, **period)["items"]] == ["c2", "c1"]
    assert listed(mine, **{"from": day(3), "to": day(1)})["items"] == []
    forged = system.http("GET", f"{mine.home}/cash", query={"cursor": first["next_cursor"], **period})
    refused(forged, 400, "invalid_cursor")


def test_cash_entries_and_trades_of_another_owner_are_not_found(system: System) -> None:
    mine = account(system)
    mine.cash("c", "deposit", 1)
    mine.record("a", "BUY", 1, 1, 1)
    stranger = authorized(user_id="2")
    for path in ("cash", "trades/a"):
        assert system.http("GET", f"{mine.home}/{path}", authorizer=stranger).status == 404
        assert system.http("GET", f"/portfolios/unknown/{path}").status == 404


def cash_body(ref_id: str, amount: Any, at: float) -> dict[str, Any]:
    """Return the body of a deposit on a day of the tests' time."""
    return {"ref_id": ref_id, "type": "deposit", "amount": amount, "executed_at": day(at)}


def listed(mine: Account, **query: str) -> Any:
    """Return a page of the cash entries."""
    answer = mine.system.http("GET", f"{mine.home}/cash", query=query)
    assert answer.status == 200, answer.text
    return answer.json

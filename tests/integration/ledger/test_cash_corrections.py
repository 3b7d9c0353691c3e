"""Corrections of cash entries: revisions are kept, and balances are as if the entry had been right from the start."""

from datetime import UTC, datetime, timedelta

from tests.support.analytics import ValuedPortfolio
from tests.support.moto_state import stored_items
from tests.support.system import System, authorized
from tests.support.trading import account, day, refused


def test_a_corrected_entry_keeps_its_revisions_and_changes_the_balance(system: System) -> None:
    mine = account(system)
    first = mine.cash("in", "deposit", "100.004", 1).json
    assert (first["revision"], first["history"], first["is_void"]) == (1, [], False)
    valued = ValuedPortfolio(system, mine.portfolio)
    valued.events()
    assert mine.correct_cash("in", amount="60", executed_at=day(2)).json["revision"] == 2
    view = mine.correct_cash("in", type="dividend").json
    assert (view["revision"], view["type"], view["amount"], view["executed_at"][:10]) == (
        3,
        "dividend",
        "60.00",
        "2024-01-03",
    )
    assert [(each["revision"], each["type"], each["amount"], each["executed_at"][:10]) for each in view["history"]] == [
        (1, "deposit", "100.004", "2024-01-02"),
        (2, "deposit", "60.00", "2024-01-03"),
    ]
    assert view["history"][0]["corrected_by"] == authorized()["subject"]
    assert mine.holdings()["cash"] == "60.00"
    assert system.http("GET", f"{mine.home}/cash/in").json == view
    events = [event["data"] for event in valued.events() if event["type"] == "cash.corrected"]
    assert [(data["revision"], data["affects_from"][:10]) for data in events] == [(2, "2024-01-02"), (3, "2024-01-03")]
    assert mine.cash("in", "deposit", "100.004", 1).json == first, "a repeat of the first request"
    refused(mine.cash("in", "dividend", "60", 2), 409, "ref_id_reused")


def test_a_correction_that_would_make_cash_negative_is_refused_and_stores_nothing(system: System) -> None:
    mine = account(system, cash="0")
    mine.cash("in", "deposit", 100, 1)
    mine.record("a", "BUY", 1, 80, 3)
    before = stored_items()
    problem = refused(mine.correct_cash("in", executed_at=day(4)), 422, "insufficient_cash")
    assert "from 2024-01-04T00:00:00.000000Z on, by 80 at the lowest" in problem["detail"]
    refused(mine.correct_cash("in", amount="79.99"), 422, "insufficient_cash")
    refused(mine.correct_cash("in", type="fee"), 422, "insufficient_cash")
    refused(mine.correct_cash("in", is_void=True), 422, "insufficient_cash")
    ahead = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    refused(mine.correct_cash("in", executed_at=ahead), 422, "executed_at_in_future")
    refused(mine.correct_cash("in"), 400, "nothing_to_correct")
    refused(mine.correct_cash("out", amount="1"), 404, "not_found")
    assert mine.correct_cash("in", amount="100.00").json["revision"] == 1, "nothing changes"
    assert stored_items() == before


def test_a_void_entry_changes_nothing_and_can_be_made_valid_again(system: System) -> None:
    mine = account(system)
    mine.cash("in", "deposit", 100, 1)
    mine.cash("fee", "fee", 5, 2)
    assert mine.correct_cash("fee", is_void=True).json["is_void"] is True
    assert mine.holdings()["cash"] == "100.00"
    listed = system.http("GET", f"{mine.home}/cash").json["items"]
    assert [(each["ref_id"], each["is_void"]) for each in listed] == [("fee", True), ("in", False)]
    assert "fee" not in system.http("GET", f"{mine.home}/cash.csv").text
    assert mine.correct_cash("fee", is_void=False).status == 200
    assert mine.holdings()["cash"] == "95.00"


def test_after_a_correction_of_the_earliest_entry_cash_is_tracked_from_the_earliest_of_the_others_on(
    system: System,
) -> None:
    mine = account(system)
    mine.record("a", "BUY", 1, 40, 2)
    mine.cash("later", "deposit", 10, 5)
    mine.cash("wrong-year", "deposit", 90, 1)
    assert mine.holdings()["cash"] == "60.00"
    assert mine.correct_cash("wrong-year", executed_at=day(4)).status == 200
    view = system.http("GET", mine.home).json
    assert (view["cash"], view["cash_since"][:10]) == ("100.00", "2024-01-05"), "the buy was paid from outside"
    assert mine.correct_cash("wrong-year", is_void=True).status == 200
    view = system.http("GET", mine.home).json
    assert (view["cash"], view["cash_since"][:10]) == ("10.00", "2024-01-06")
    assert mine.correct_cash("later", is_void=True).status == 200
    view = system.http("GET", mine.home).json
    assert (view["cash"], view["cash_since"][:10]) == ("0.00", "2024-01-06"), "the start stays without an entry"

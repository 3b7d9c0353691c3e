"""The routes of the earlier portfolio tracker: prices per share, trades without a portfolio in the path, and pages."""

from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from functions.compat_api.tracker import app as tracker
from functions.compat_api.tracker import trades as trade_routes
from tests.support.compat import exact_json
from tests.support.system import PUBLIC_URL, System, authorized
from trimtab.compat import lists
from trimtab.portfolios.ledger import service as ledger_service

COMMON = {"user_id": "1", "trade_type": 1, "security_type": "stock", "ticker": "AAPL"}


@pytest.fixture
def portfolio_id(system: System) -> str:
    """Create a portfolio of user 1."""
    return str(system.http("POST", "/api/v1/portfolio/", {"user_id": 1, "name": "José"}).json["id"])


def record(system: System, portfolio: str, ref_id: str, **members: Any) -> Any:
    """Return the answer to a new trade."""
    body = {**COMMON, "portfolio": portfolio, "ref_id": ref_id, "volume": 10, "amount": 100, **members}
    return system.http("POST", "/api/v1/trade/", body)


def stored_amounts(system: System, portfolio_id: str) -> dict[str, tuple[str, str]]:
    """Return quantity and total value of each trade as Trimtab's own route shows them."""
    items = system.http("GET", f"/portfolios/{portfolio_id}/trades").json["items"]
    return {trade["ref_id"]: (trade["quantity"], trade["amount"]) for trade in items}


def test_an_amount_is_the_price_of_one_share(system: System, portfolio_id: str) -> None:
    assert record(system, portfolio_id, "a", volume="2.5", amount="100.10").json["amount"] == "100.10"
    assert record(system, portfolio_id, "b", volume=1, amount=100.123).json["amount"] == "100.123"
    sold = record(system, portfolio_id, "c", trade_type="2", volume=1, amount=120)
    assert (sold.status, sold.json["trade_type"], sold.json["amount"]) == (201, 2, "120.00")
    assert stored_amounts(system, portfolio_id) == {
        "a": ("2.500000000", "250.25"),
        "b": ("1.000000000", "100.123"),
        "c": ("1.000000000", "120.00"),
    }
    rows = exact_json(system.http("GET", "/api/v1/portfolio-summary/", query={"user_id": "1"}).text)["results"]
    assert [(row["volume"], row["average_amount"]) for row in rows] == [(Decimal("2.5"), "100.10")]


@pytest.mark.parametrize(
    ("body", "volume", "amount", "total"),
    [
        ({"volume": 4}, 4, "100.00", "400.00"),
        ({"amount": "25.50"}, 10, "25.50", "255.00"),
        ({"volume": 3, "amount": 7}, 3, "7.00", "21.00"),
        ({"status": "pending"}, 10, "100.00", "1000.00"),
        ({"trade_type": 1, "user_id": 1, "unknown": True}, 10, "100.00", "1000.00"),
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_correction_keeps_the_price_per_share_unless_it_is_given(
    system: System, portfolio_id: str, method: str, body: Any, volume: int, amount: str, total: str
) -> None:
    record(system, portfolio_id, "a")
    for _ in range(2):
        changed = system.http(method, "/api/v1/trade/a/", body)
        assert (changed.status, changed.json["volume"], changed.json["amount"]) == (200, volume, amount)
    assert stored_amounts(system, portfolio_id)["a"][1] == total


def test_a_trade_in_two_portfolios_has_to_be_named_with_its_portfolio(system: System, portfolio_id: str) -> None:
    other = str(system.http("POST", "/api/v1/portfolio/", {"user_id": "2", "name": "other"}).json["id"])
    record(system, portfolio_id, "a")
    record(system, other, "a", user_id="2", amount=5)
    refused = system.http("GET", "/api/v1/trade/a/")
    assert (refused.status, refused.json["error"]["error_code"]) == (409, "several_trades")
    assert system.http("PATCH", "/api/v1/trade/a", {"volume": 1}).status == 409
    assert system.http("GET", "/api/v1/trade/a", query={"portfolio": other}).json["amount"] == "5.00"
    assert system.http("GET", "/api/v1/trade/a", query={"user_id": "1"}).json["amount"] == "100.00"
    assert system.http("GET", "/api/v1/trade/a", authorizer=authorized(user_id="2")).json["amount"] == "5.00"
    changed = system.http("PATCH", "/api/v1/trade/a", {"portfolio": other, "amount": 6})
    assert (changed.json["portfolio"], changed.json["amount"]) == (other, "6.00")
    assert system.http("GET", "/api/v1/trade/b").status == 404
    assert record(system, other, "c").status == 404, "the portfolio belongs to another user"


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"volume": 0}, "volume"),
        ({"amount": -1}, "amount"),
        ({"volume": "999999999999", "amount": "999999999"}, "amount"),
        ({"trade_type": 3}, "trade_type"),
        ({"trade_type": True}, "trade_type"),
        ({"trade_type": "BUY"}, "trade_type"),
        ({"status": "unknown"}, "status"),
        ({"security_type": "house"}, "security_type"),
        ({"user_id": None}, "user_id"),
        ({"ticker": "A#B"}, "ticker"),
    ],
)
def test_an_invalid_member_is_named(system: System, portfolio_id: str, members: Any, field: str) -> None:
    refused = record(system, portfolio_id, "a", **members)
    assert (refused.status, list(refused.json["error"]["extra"])) == (400, [field])
    assert refused.json["error"]["message"].startswith(f"{field}: ")
    assert stored_amounts(system, portfolio_id) == {}


def test_a_repeated_trade_is_one_trade_and_another_under_its_id_a_conflict(system: System, portfolio_id: str) -> None:
    first = record(system, portfolio_id, "a")
    assert record(system, portfolio_id, "a").json == first.json
    assert record(system, portfolio_id, "a", amount=101).json["error"]["error_code"] == "ref_id_reused"
    assert len(stored_amounts(system, portfolio_id)) == 1


def test_the_links_of_pages_lead_through_the_whole_list(system: System, portfolio_id: str) -> None:
    for number in range(5):
        record(system, portfolio_id, f"t{number}")
    found, query = [], {"user_id": "1", "page": "1", "page_size": "2"}
    for page in (1, 2, 3):
        answer = system.http("GET", "/api/v1/trade/", query={**query, "page": str(page)}).json
        found += [trade["ref_id"] for trade in answer["results"]]
        link = f"{PUBLIC_URL}/api/v1/trade?user_id=1&page={{}}&page_size=2"
        assert answer["count"] == 5
        assert answer["next"] == (link.format(page + 1) if page < 3 else None)
        assert answer["previous"] == (link.format(page - 1) if page > 1 else None)
    assert found == ["t4", "t3", "t2", "t1", "t0"]
    behind = system.http("GET", "/api/v1/trade/", query={**query, "page": "4"})
    assert (behind.status, behind.json["error"]["error_code"]) == (404, "invalid_page")
    for wrong in ({"page": "0"}, {"page": "x"}, {"page_size": "101"}, {"size": "2"}):
        assert system.http("GET", "/api/v1/trade/", query=wrong).status == 400


def test_an_empty_list_has_one_page(system: System) -> None:
    empty: dict[str, Any] = {"count": 0, "next": None, "previous": None, "results": []}
    for path in ("portfolio", "trade", "portfolio-summary"):
        assert system.http("GET", f"/api/v1/{path}/").json == empty


def test_lists_are_filtered(system: System, portfolio_id: str) -> None:
    record(system, portfolio_id, "a")
    record(system, portfolio_id, "m", ticker="MSFT")
    for path, results in (("trade", ["MSFT"]), ("portfolio-summary", ["MSFT"])):
        answer = system.http("GET", f"/api/v1/{path}/", query={"ticker": "MSFT"}).json
        assert [each["ticker"] for each in answer["results"]] == results
    assert system.http("GET", "/api/v1/portfolio/", query={"name": "José"}).json["count"] == 1
    assert system.http("GET", "/api/v1/portfolio/", query={"name": "Jose"}).json["count"] == 0
    assert system.http("GET", "/api/v1/portfolio/", query={"user_id": "2"}).json["count"] == 0


def test_a_list_or_a_search_that_would_read_too_much_is_refused(system: System, portfolio_id: str) -> None:
    for number in range(3):
        record(system, portfolio_id, f"t{number}")
    with mock.patch.object(lists, "MAX_LISTED", 2), mock.patch.object(trade_routes, "MAX_LISTED", 2):
        refused = system.http("GET", "/api/v1/trade/")
    assert (refused.status, refused.json["error"]["error_code"]) == (422, "too_many_items")
    with mock.patch.object(tracker, "MAX_SEARCHED_PORTFOLIOS", 0):
        assert system.http("GET", "/api/v1/trade/t1").json["error"]["error_code"] == "too_many_items"
        assert system.http("GET", "/api/v1/trade/t1", query={"portfolio": portfolio_id}).status == 200


def test_a_trade_that_a_worker_records_is_answered_with_202(system: System, portfolio_id: str) -> None:
    record(system, portfolio_id, "a")
    with mock.patch.object(ledger_service, "MAX_FOLD", 0):
        accepted = system.http("PATCH", "/api/v1/trade/a", {"volume": 4})
    assert (accepted.status, accepted.json["volume"]) == (202, 4)
    assert system.http("GET", "/api/v1/trade/a").json["volume"] == 10
    system.process_recalculations()
    assert system.http("GET", "/api/v1/trade/a").json["volume"] == 4


def test_a_portfolio_is_renamed_and_a_closed_one_leaves_the_list(system: System, portfolio_id: str) -> None:
    renamed = system.http("PATCH", f"/api/v1/portfolio/{portfolio_id}/", {"name": "Pension"})
    assert (renamed.status, renamed.json["name"], renamed.json["id"]) == (200, "Pension", portfolio_id)
    assert system.http("PATCH", f"/api/v1/portfolio/{portfolio_id}/", {}).json["name"] == "Pension"
    assert system.http("POST", f"/api/v1/portfolio/{portfolio_id}/recalculate-summary/").json == renamed.json
    record(system, portfolio_id, "a")
    assert system.http("DELETE", f"/portfolios/{portfolio_id}").status == 204
    assert system.http("GET", "/api/v1/portfolio/").json["count"] == 0
    assert system.http("GET", "/api/v1/trade/a/").status == 200
    assert record(system, portfolio_id, "b").status == 409

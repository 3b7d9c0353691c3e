"""Recording trades: trade and holding change together, repeats are idempotent, and lists have filters."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest
from msgspec.structs import replace

from tests.support.balancing import balanced
from tests.support.faults import injecting
from tests.support.moto_state import carries_events, commits, stored_items
from tests.support.system import TABLE, System, authorized
from tests.support.trading import Account, account, day, ledger_items, refused, trade
from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.portfolios.portfolio.lock import Lock
from trimtab.portfolios.portfolio.store import PortfolioStore


@pytest.fixture
def mine(system: System) -> Account:
    """A portfolio of user 1."""
    return account(system)


def test_buys_and_sells_change_the_holding_at_weighted_average_cost(mine: Account) -> None:
    first = mine.record("a", "BUY", "10", "1000.00", 1, fees="10.00")
    assert first.status == 201
    assert first.json["created_at"] == first.json["updated_at"]
    assert (first.json["price"], first.json["revision"], first.json["history"]) == ("100.000000000", 1, [])
    mine.record("b", "BUY", 30, 3990, 2)  # cost 1010 + 3990 = 5000 for 40
    holding = mine.holding()
    assert (holding["average_cost"], holding["cost_basis"], holding["realised_profit"]) == (
        "125.000000000",
        "5000.00",
        "0.00",
    )
    mine.record("c", "SELL", "8", "1200.00", 3, fees="1.50")  # 8 of 40 cost 1000; 1200 - 1.50 - 1000 = 198.50
    holding = mine.holding()
    assert (holding["quantity"], holding["average_cost"], holding["realised_profit"]) == (
        "32.000000000",
        "125.000000000",
        "198.50",
    )
    assert holding["updated_at"][:10] == day(3)[:10]
    mine.record("d", "SELL", "32", "4000.00", 4)
    holding = mine.holding()
    assert (holding["quantity"], holding["average_cost"], holding["cost_basis"]) == ("0.000000000", None, "0.00")


@pytest.mark.parametrize(
    ("members", "amount", "price"),
    [
        ({"amount": "1500"}, "1500.00", "150.000000000"),
        ({"amount": None, "price": "150.005"}, "1500.05", "150.005000000"),
        ({"amount": "1500.05", "price": "150.005"}, "1500.05", "150.005000000"),
        ({"amount": None, "price": "0.3333"}, "3.333", "0.333300000"),
    ],
)
def test_the_amount_follows_from_the_price_and_the_price_from_the_amount(
    mine: Account, members: Any, amount: str, price: str
) -> None:
    view = mine.post_trade({**trade("a", "BUY", 10, None), **members}).json
    assert (view["amount"], view["price"]) == (amount, price)
    assert mine.sums() == ("10", f"{Decimal(amount):.2f}", "0.00")


def test_amounts_and_fees_are_kept_as_given_and_rounded_once_where_they_meet_cash(system: System) -> None:
    mine = account(system, cash="1000")
    bought = mine.record("a", "BUY", 3, "100.004", 1, fees="1.00535").json
    assert (bought["amount"], bought["fees"]) == ("100.004", "1.00535")
    # 100.004 + 1.00535 = 101.00935
    assert (mine.sums(), mine.holdings()["cash"]) == (("3", "101.01", "0.00"), "898.99")
    mine.record("b", "BUY", 1, "10.004", 2, fees="0.004")  # 10.008: 10.01, not 10.00
    assert (mine.sums(), mine.holdings()["cash"]) == (("4", "111.02", "0.00"), "888.98")
    mine.record("c", "SELL", 4, "120.005", 3, fees="0.005")  # 120.00, not 120.01 - 0.01 or 120.01 - 0.00
    assert (mine.sums(), mine.holdings()["cash"]) == (("0", "0.00", "8.98"), "1008.98")
    mine.correct("c", amount="120.0149")  # 120.0099: 120.01
    assert (mine.sums(), mine.holdings()["cash"]) == (("0", "0.00", "8.99"), "1008.99")
    assert mine.cash("d", "deposit", "0.004999999").json["amount"] == "0.004999999"
    assert mine.holdings()["cash"] == "1008.99"


def test_names_and_values_of_the_earlier_api_are_accepted(mine: Account) -> None:
    old = {"ref_id": "a", "trade_type": 1, "security_type": "stock", "ticker": "AAPL", "quantity": "4", "amount": 8}
    assert mine.post_trade(old).json["side"] == "BUY"
    new = {"ref_id": "a", "side": "BUY", "security_type": "stock", "symbol": "AAPL", "quantity": 4, "price": "2"}
    assert mine.post_trade(new).status == 201  # a repeat: amount and price say the same
    assert mine.post_trade({**old, "ref_id": "b", "trade_type": "2"}).json["side"] == "SELL"
    assert mine.sums() == ("0", "0.00", "0.00")
    for wrong in ({"trade_type": 3}, {"trade_type": 0}, {"trade_type": True}, {"side": "BUY"}):
        assert mine.post_trade({**old, "ref_id": "c", **wrong}).status == 400, wrong


@pytest.mark.parametrize("more", [{}, {"quantity": 4}])
def test_a_volume_with_an_amount_for_each_unit_is_refused_with_the_members_to_send(
    mine: Account, more: dict[str, Any]
) -> None:
    trade = {"ref_id": "a", "side": "BUY", "security_type": "stock", "symbol": "AAPL", "volume": 4, "amount": 2, **more}
    refused = mine.post_trade(trade)
    (error,) = refused.json["errors"]
    assert (refused.status, error["field"]) == (400, "volume")
    assert error["detail"] == "Send `quantity`, and the price of one unit as `price`."


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_a_pending_or_failed_trade_changes_neither_holding_nor_cash(system: System, status: str) -> None:
    mine = account(system, cash="5")
    assert mine.record("a", "BUY", 10, 1000, status=status).json["status"] == status
    assert mine.record("b", "SELL", 10, 1000, status=status).status == 201
    assert (mine.holdings()["items"], mine.holdings()["cash"]) == ([], "5.00")


def test_a_repeated_trade_gets_the_first_answer_whatever_happened_since(mine: Account) -> None:
    first = mine.record("a", "BUY", "10", "1000", 5)
    again = mine.record("a", "BUY", "10.000", 1000.0, 5)
    assert (again.status, again.json) == (201, first.json)
    mine.correct("a", quantity=12, executed_at=day(4))
    assert mine.record("a", "BUY", 10, 1000, 5).json == first.json
    sold = mine.record("b", "SELL", "12", "1300", 6)
    assert mine.record("b", "SELL", "12", "1300", 6).json == sold.json  # nothing is held any more
    early = mine.record("c", "BUY", "1", "90", 2)
    assert mine.record("c", "BUY", "1", "90", 2).json == early.json
    untimed = mine.record("d", "SELL", "1", "80")
    assert mine.record("d", "SELL", "1", "80").json == untimed.json
    assert len(ledger_items()) == 4
    mine.system.http("DELETE", mine.home)
    assert mine.record("b", "SELL", "12", "1300", 6).json == sold.json  # also once it is closed
    assert mine.record("a", "BUY", 10, 1000, 5).json == first.json


@pytest.mark.parametrize(
    "change",
    [
        {"side": "SELL"},
        {"security_type": "etf"},
        {"symbol": "MSFT"},
        {"quantity": 11},
        {"amount": 1001},
        {"fees": "0.01"},
        {"status": "pending"},
        {"executed_at": day(2)},
        {"executed_at": None},
    ],
)
def test_another_trade_under_the_same_id_is_a_conflict(mine: Account, change: dict[str, Any]) -> None:
    body = trade("a", "BUY", 10, 1000, 1)
    mine.post_trade(body)
    before = stored_items()
    other = {name: value for name, value in (body | change).items() if value is not None}
    refused(mine.post_trade(other), 409, "ref_id_reused")
    assert stored_items() == before


def test_more_than_is_held_cannot_be_sold(mine: Account) -> None:
    refused(mine.record("a", "SELL", 1, 1, 1), 422, "insufficient_quantity")
    mine.record("b", "BUY", "10", "100", 1)
    before = stored_items()
    problem = refused(mine.record("c", "SELL", "10.000000001", "100", 2), 422, "insufficient_quantity")
    assert "10.000000001" in problem["detail"]
    refused(mine.record("d", "SELL", "1", "100", 0), 422, "insufficient_quantity")  # before the purchase
    refused(mine.record("e", "SELL", "1", "100", 2, symbol="MSFT"), 422, "insufficient_quantity")
    assert stored_items() == before


def test_a_trade_in_the_future_is_refused(mine: Account) -> None:
    soon, late = (datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (4, 6))
    refused(mine.record("a", "BUY", 1, 1, executed_at=late.isoformat()), 422, "executed_at_in_future")
    assert mine.record("a", "BUY", 1, 1, executed_at=soon.isoformat()).status == 201
    refused(mine.correct("a", executed_at=late.isoformat()), 422, "executed_at_in_future")


def test_a_trade_without_a_time_comes_after_all_recorded_trades_although_clocks_differ(mine: Account) -> None:
    """A buy stamped by a clock 2 seconds fast is accepted; the next sell comes after the buy."""
    fast = datetime.now(UTC) + timedelta(seconds=2)
    assert mine.record("a", "BUY", 1, 1, executed_at=fast.isoformat()).status == 201
    assert mine.record("b", "SELL", 1, 1).status == 201


def test_a_closed_portfolio_refuses_trades_cash_and_corrections_and_stays_readable(mine: Account) -> None:
    mine.record("a", "BUY", 1, 10, 1)
    mine.system.http("DELETE", mine.home)
    before = stored_items()
    for answer in (
        mine.record("b", "BUY", 1, 1),
        mine.correct("a", quantity=2),
        mine.cash("c", "deposit", 5),
        mine.upload("ref_id,side,security_type,symbol,quantity,amount\nz,BUY,stock,A,1,1\n"),
    ):
        refused(answer, 409, "closed")
    assert stored_items() == before
    assert mine.sums() == ("1", "10.00", "0.00")
    assert len(mine.trades()["items"]) == 1


@pytest.mark.parametrize(("seconds", "wait"), [(30, 30), (3600, 60)])
def test_a_locked_portfolio_answers_with_retry_after(mine: Account, seconds: int, wait: int) -> None:
    first = mine.record("a", "BUY", 1, 10, 1)
    lock(mine, timedelta(seconds=seconds))
    for answer in (
        mine.record("b", "BUY", 1, 1),
        mine.correct("a", status="failed"),
        mine.record("c", "SELL", 1, 1),
        mine.cash("c", "withdrawal", 5),
        mine.system.http("DELETE", mine.home),
        mine.upload("ref_id,side,security_type,symbol,quantity,amount\nz,BUY,stock,A,1,1\n"),
    ):
        assert "rebalance" in refused(answer, 409, "locked")["detail"]
        assert wait - 3 <= int(answer.headers["Retry-After"]) <= wait + 1
    assert mine.record("a", "BUY", 1, 10, 1).json == first.json
    assert mine.cash("in", "deposit", 5).status == 201, "a deposit is accepted while the portfolio is locked"
    lock(mine, timedelta(seconds=-1))
    assert mine.record("b", "BUY", 1, 1).status == 201


def test_a_stale_portfolio_refuses_trades_and_rebalances_with_the_reason_and_stays_readable(mine: Account) -> None:
    mine.record("a", "BUY", 1, 10, 1)
    change(mine, status=PortfolioStatus.STALE, stale_reason="a reversal failed")
    report = {"user_id": "1", "new_allocation": {"A": 100}}
    for answer in (
        mine.record("b", "BUY", 1, 1),
        mine.correct("a", quantity=2),
        mine.cash("c", "deposit", 5),
        mine.system.http("POST", "/rebalance", report),
    ):
        assert "a reversal failed" in refused(answer, 409, "stale")["detail"]
    assert mine.system.http("GET", mine.home).json["status"] == "STALE"
    assert mine.holdings()["items"][0]["quantity"] == "1.000000000"


def lock(mine: Account, time_left: timedelta) -> None:
    """Lock the portfolio as a rebalance does."""
    change(mine, lock=Lock("job-1", "a rebalance", datetime.now(UTC) + time_left))


def change(mine: Account, **members: Any) -> None:
    """Change stored members of the portfolio beyond the reach of the routes."""
    store = PortfolioStore(boto3.client("dynamodb"), TABLE)
    portfolio = store.portfolio("demo", mine.portfolio["portfolio_id"])
    assert portfolio is not None
    store.put(replace(portfolio, **members, version=portfolio.version + 1, events=()))


@pytest.mark.parametrize("caller", [{"tenant_id": "other"}, {"user_id": "2"}])
def test_the_portfolio_of_another_user_or_tenant_is_not_found(mine: Account, caller: Any) -> None:
    mine.record("a", "BUY", 1, 10, 1)
    before = stored_items()
    home = mine.home
    requests: list[tuple[str, str, Any]] = [
        ("POST", f"{home}/trades", trade("a", "BUY", 1, 10, 1)),
        ("PATCH", f"{home}/trades/a", {"quantity": 2}),
        ("POST", f"{home}/cash", {"ref_id": "c", "type": "deposit", "amount": 1}),
        *(("GET", f"{home}/{resource}", None) for resource in ("trades", "holdings", "cumulative-returns")),
    ]
    answers = [mine.system.http(*request, authorizer=authorized(**caller)) for request in requests]
    answers.append(mine.upload("ref_id,side,security_type,symbol,quantity,amount\nz,BUY,stock,A,1,1\n",
                               authorizer=authorized(**caller)))  # fmt: skip
    query = {"user_id": "1", "portfolio_id": mine.portfolio["portfolio_id"]}
    answers.append(mine.system.http("GET", "/portfolio-summary", query=query, authorizer=authorized(**caller)))
    for answer in answers:
        refused(answer, 404, "not_found")
        assert "AAPL" not in answer.text
    assert stored_items() == before


def test_a_list_is_filtered_by_symbol_status_and_time_page_by_page(mine: Account) -> None:
    for number in range(6):
        symbol, status = ("AAPL", "A")[number % 2], ("success", "pending", "failed")[number % 3]
        mine.record(f"t{number}", "BUY", 1, 1, number, symbol=symbol, status=status)

    def refs(limit: int, **query: str) -> str:
        found: list[str] = []
        cursor: dict[str, str] = {}
        for _ in range(9):
            page = mine.trades(limit=str(limit), **query, **cursor)
            found += [item["ref_id"][1:] for item in page["items"]]
            if page["next_cursor"] is None:
                return "".join(found)
            cursor = {"cursor": page["next_cursor"]}
        raise AssertionError("the list has no end")

    for limit in (1, 2, 100):
        assert refs(limit) == "543210"
        assert refs(limit, symbol="AAPL") == "420"
        assert refs(limit, symbol="A") == "531"
        assert refs(limit, status="pending") == "41"
        assert refs(limit, **{"from": day(1), "to": day(4)}) == "321"
        assert refs(limit, symbol="A", **{"from": day(2)}) == "53"
        assert refs(limit, symbol="A", status="success", to=day(5)) == "3"
        assert refs(limit, symbol="MSFT") == ""
        assert refs(limit, **{"from": day(2), "to": day(2)}) == ""


def test_a_list_is_filtered_by_side(mine: Account) -> None:
    mine.record("a", "BUY", 2, 10, 1)
    mine.record("b", "SELL", 1, 10, 2)
    found = {side: [trade["ref_id"] for trade in mine.trades(side=side)["items"]] for side in ("BUY", "SELL")}
    assert found == {"BUY": ["a"], "SELL": ["b"]}
    refused(mine.system.http("GET", f"{mine.home}/trades", query={"side": "HOLD"}), 400, "invalid_request")


def test_a_cursor_belongs_to_its_filter(mine: Account) -> None:
    for number in range(3):
        mine.record(f"t{number}", "BUY", 1, 1, number)
    cursor = mine.trades(limit="1")["next_cursor"]
    for query in ({"symbol": "AAPL"}, {"status": "success"}, {"side": "BUY"}, {"from": day(0)}):
        answer = mine.system.http("GET", f"{mine.home}/trades", query={"cursor": cursor, **query})
        refused(answer, 400, "invalid_cursor")


def test_a_filter_whose_end_is_before_its_start_never_reaches_the_table(mine: Account) -> None:
    """DynamoDB rejects BETWEEN with a lower bound above the upper bound (moto does not), which would be a 500."""
    mine.record("a", "BUY", 1, 1, 2)
    with injecting() as calls:
        answer = mine.system.http("GET", f"{mine.home}/trades", query={"from": day(5), "to": day(1)})
    bounds = [call.arguments["ExpressionAttributeValues"] for call in calls.calls if call.operation == "Query"]
    assert all(values[":first"]["S"] <= values[":last"]["S"] for values in bounds), (
        "DynamoDB answers this with an error"
    )
    assert answer.status in {200, 400}


def test_each_commit_of_a_trade_or_cash_entry_carries_one_event_and_no_other_commit_does(mine: Account) -> None:
    mine.record("a", "BUY", 2, 10, 3)
    mine.record("a", "BUY", 2, 10, 3)
    mine.record("b", "BUY", 2, 10, 2, status="pending")
    mine.correct("a", amount="12.5")
    mine.correct("a", amount="12.5")
    mine.cash("c", "deposit", 1)
    images = [record["dynamodb"]["NewImage"] for record in commits() if carries_events(record)]
    assert [(image["sk"]["S"], image["version"]["N"]) for image in images] == [
        ("PORTFOLIO", "1"),
        ("TRADE#C#a", "1"),
        ("TRADE#C#b", "1"),
        ("TRADE#C#a", "2"),
        ("CASH#c", "1"),
    ]
    assert '"trade.corrected"' in images[-2]["events"]["S"]
    assert '"amount":"12.5"' in images[-2]["events"]["S"]


def test_a_trade_is_read_with_its_earlier_revisions_and_an_unknown_trade_is_not_found(system: System) -> None:
    mine = account(system)
    mine.record("a", "BUY", 1, 2, 1)
    corrected = mine.correct("a", quantity=3)
    read = system.http("GET", f"{mine.home}/trades/a")
    assert (read.status, read.json) == (200, corrected.json)
    assert [revision["quantity"] for revision in read.json["history"]] == ["1.000000000"]
    refused(system.http("GET", f"{mine.home}/trades/b"), 404, "not_found")


def test_a_fill_of_a_rebalance_is_read_like_a_trade(system: System) -> None:
    mine = balanced(system)
    mine.move(AAPL=140)
    fills = [trade for trade in mine.account.trades()["items"] if trade["rebalance_id"]]
    assert {fill["side"] for fill in fills} == {"BUY", "SELL"}
    for fill in fills:
        assert system.http("GET", f"{mine.account.home}/trades/{fill['ref_id']}").json == fill

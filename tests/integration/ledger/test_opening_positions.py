"""Portfolios created with holdings: all opening positions are recorded with the portfolio, or none."""

from typing import Any

import pytest

from tests.support.faults import Crash, CrashAfter, CrashBefore, injecting
from tests.support.system import System
from tests.support.trading import quote

AT_A_COST = {"symbol": "MSFT", "quantity": "2.5", "cost": "1000.005", "security_type": "stock"}
AT_THE_PRICE = {"symbol": "AAPL", "quantity": 10}


def create(system: System, *investments: dict[str, Any], **members: Any) -> Any:
    """Create the portfolio of the user 1 with investments."""
    return system.http("POST", "/portfolio", {"user_id": "1", "investments": list(investments), **members})


def entries(system: System, portfolio_id: str) -> list[dict[str, Any]]:
    """Return the trades of the portfolio by symbol."""
    listed = system.http("GET", f"/portfolios/{portfolio_id}/trades").json["items"]
    return sorted(listed, key=lambda each: str(each["symbol"]))


def costs(system: System, portfolio_id: str) -> dict[str, tuple[str, str]]:
    """Return quantity and cost basis by symbol."""
    holdings = system.http("GET", f"/portfolios/{portfolio_id}/holdings").json["items"]
    return {each["symbol"]: (each["quantity"], each["cost_basis"]) for each in holdings}


def test_opening_positions_are_transfers_at_their_cost_or_the_newest_price(system: System) -> None:
    quote(system, "150.40")
    target = {"AAPL": 60, "MSFT": 40}
    created = create(system, AT_THE_PRICE, AT_A_COST, cash="100", allocation=target)
    assert (created.status, created.json["version"], created.json["cash"]) == (201, 1, "100.00")
    portfolio_id = created.json["portfolio_id"]
    assert costs(system, portfolio_id) == {"AAPL": ("10.000000000", "1504.00"), "MSFT": ("2.500000000", "1000.01")}
    assert [(each["kind"], each["amount"], each["fees"]) for each in entries(system, portfolio_id)] == [
        ("transfer_in", "1504.00", "0.00"),
        ("transfer_in", "1000.005", "0.00"),
    ]
    (item,) = (each for each in system.items() if each["sk"]["S"] == "PORTFOLIO")
    assert item["evaluation_due"]["S"], "the holdings are watched"
    quote(system, "160", at=400)
    again = create(system, AT_THE_PRICE, AT_A_COST, cash="100.00", allocation=target)
    assert (again.status, again.json) == (201, created.json), "a repeat is no second creation at another price"
    assert create(system, AT_A_COST, cash="100", allocation=target).json["type"].endswith(":exists")
    fix = system.http(
        "PATCH", f"/portfolios/{portfolio_id}/trades/{entries(system, portfolio_id)[0]['ref_id']}", {"amount": 9}
    )
    assert fix.json["revision"] == 2, "an opening position is corrected like every trade"


@pytest.mark.parametrize(
    ("investments", "status", "field", "words"),
    [
        ([AT_THE_PRICE], 422, "investments.1.cost", "The newest price gives no cost. Send the cost."),
        ([AT_A_COST], 400, "investments", "one investment for each symbol; MSFT"),
        ([{**AT_THE_PRICE, "cost": 0}], 400, "investments.1.cost", "greater than 0"),
        ([{**AT_THE_PRICE, "quantity": "0"}], 400, "investments.1.quantity", "greater than 0"),
        ([{"symbol": f"S{number}", "quantity": 1, "cost": 1} for number in range(90)], 400, "investments", "import"),
    ],
)
def test_a_position_that_cannot_be_recorded_is_named_and_nothing_is_stored(
    system: System, investments: list[dict[str, Any]], status: int, field: str, words: str
) -> None:
    answer = create(system, AT_A_COST, *investments)
    assert answer.status == status, answer.text
    (error,) = answer.json["errors"]
    assert (error["field"], words in error["detail"]) == (field, True), error
    assert system.items() == []


def test_ninety_positions_are_recorded_at_once(system: System) -> None:
    created = create(system, *({"symbol": f"S{number}", "quantity": 1, "cost": 1} for number in range(90)))
    assert created.status == 201, created.text
    assert len(system.items()) == 91


def test_a_late_repeat_of_a_creation_does_not_open_the_positions_of_a_closed_portfolio_again(system: System) -> None:
    portfolio_id = create(system, AT_A_COST).json["portfolio_id"]
    system.http("DELETE", f"/portfolios/{portfolio_id}")
    refused = create(system, AT_A_COST)
    assert (refused.status, refused.json["type"]) == (409, "urn:trimtab:problem:exists")
    assert system.http("POST", "/portfolio", {"user_id": "1"}).json["status"] == "ACTIVE"
    assert costs(system, portfolio_id) == {"MSFT": ("2.500000000", "1000.01")}


@pytest.mark.parametrize("crash", [CrashBefore, CrashAfter])
def test_a_crash_at_any_call_leaves_all_or_nothing_and_a_repeat_completes_it(system: System, crash: Any) -> None:
    quote(system, "150")
    with injecting() as faults:
        create(system, AT_THE_PRICE, AT_A_COST, name="count")
        calls = len(faults.operations)
    for call in range(calls):
        name, before = f"{crash.__name__}{call}", len(system.items())
        with injecting() as faults:
            faults.set(crash(call))
            with pytest.raises(Crash):
                create(system, AT_THE_PRICE, AT_A_COST, name=name)
        assert len(system.items()) - before in {0, 3}
        portfolio_id = create(system, AT_THE_PRICE, AT_A_COST, name=name).json["portfolio_id"]
        assert costs(system, portfolio_id)["AAPL"] == ("10.000000000", "1500.00")
        assert len(system.items()) - before == 3

"""Cash in the minor units of the portfolio's currency: yen have no decimals, Kuwaiti dinars have three."""

from typing import Any

import boto3
import pytest

from tests.support.moto_state import stored_items
from tests.support.system import TABLE, System
from tests.support.trading import Account, account, ledger_items, quote, refused


def figures(mine: Account) -> dict[str, Any]:
    """Return cash, sums of the holding, and profit."""
    profit = mine.system.http("GET", f"{mine.home}/cumulative-returns").json
    view = mine.system.http("GET", mine.home).json
    holding = mine.holding()
    assert view["cash"] == mine.holdings()["cash"]
    return {
        "cash": view["cash"],
        "cost": holding["cost_basis"],
        "value": holding["market_value"],
        "valuation": view["valuation"]["value"],
        "realised": profit["realised"],
        "income": profit["income"],
    }


@pytest.mark.parametrize(
    ("currency", "expected"),
    [
        # 333.3345 and 1.2 are paid for 3; the cost of one is sold for 150.4565 less 0.1; 12.3455 are earned.
        ("JPY", ("9827", "223", "247", "10074", "38", "12")),
        ("USD", ("9828.18", "223.02", "246.90", "10075.08", "38.85", "12.35")),
        ("KWD", ("9828.168", "223.023", "246.900", "10075.068", "38.845", "12.346")),
    ],
)
def test_entries_are_rounded_once_to_the_decimals_of_the_currency(
    system: System, currency: str, expected: tuple[str, ...]
) -> None:
    mine = account(system, currency=currency, cash="10000")
    assert mine.record("a", "BUY", 3, "333.3345", 1, fees="1.2").json["amount"] == "333.3345"
    mine.record("b", "SELL", 1, "150.4565", 2, fees="0.1")
    mine.cash("c", "dividend", "12.3455", 3)
    quote(system, "123.45")
    assert tuple(figures(mine).values()) == expected
    income = system.http("GET", f"{mine.home}/income").json["total"]
    assert income["dividends"] == income["net"] == expected[-1]
    mine.correct("b", fees="0.2")
    mine.correct("b", fees="0.1")
    assert tuple(figures(mine).values()) == expected, "the recomputed holding is the same"


def test_opening_cash_has_at_most_the_decimals_of_the_currency(system: System) -> None:
    body = {"user_id": "1", "currency": "JPY", "cash": "1000.5"}
    problem = refused(system.http("POST", "/portfolio", body), 400, "invalid_request")
    assert "JPY has at most 0 decimals" in str(problem["errors"])
    assert account(system, currency="JPY", cash="1000.0").portfolio["cash"] == "1000"
    assert account(system, "2", currency="KWD", cash="1.234").portfolio["cash"] == "1.234"


def test_only_entries_in_other_units_than_hundredths_store_their_units(system: System) -> None:
    for user, currency, stored in (("1", "USD", {None}), ("2", "JPY", {"0"})):
        mine = account(system, user, currency=currency)
        mine.cash("c", "deposit", "1000", 0)
        mine.record("a", "BUY", 1, "10", 1)
        place = mine.portfolio["portfolio_id"]
        items = [item for item in ledger_items() if place in item["pk"]["S"]]
        assert {item.get("minor_units", {}).get("N") for item in items} == stored


def test_an_entry_of_an_earlier_release_keeps_its_hundredths(system: System) -> None:
    """Earlier releases rounded to hundredths in every currency, and stored no units."""
    mine = account(system, currency="JPY")
    mine.cash("c", "deposit", "1000", 0)
    mine.record("a", "BUY", 2, "10.55", 1)
    assert mine.holdings()["cash"] == "989"
    client = boto3.client("dynamodb")
    for item in stored_items():
        if item["sk"]["S"] == "TRADE#C#a":
            client.put_item(
                TableName=TABLE, Item={name: value for name, value in item.items() if name != "minor_units"}
            )
        if item["sk"]["S"] == "PORTFOLIO":
            client.put_item(TableName=TABLE, Item={**item, "cash": {"S": "989.45"}})
    assert mine.holdings()["cash"] == "989.45"
    assert mine.correct("a", amount="11.55").status == 200
    assert (mine.holdings()["cash"], mine.sums()) == ("988.45", ("2", "11.55", "0"))

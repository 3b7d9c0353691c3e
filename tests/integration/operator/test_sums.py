"""Commands that compare stored sums with their source and recompute them."""

import json
from typing import Any
from unittest import mock

import boto3
import pytest

from tests.support.betting import Bettor
from tests.support.moto_state import take_messages
from tests.support.operator import Operator
from tests.support.system import BETTING_TABLE, TABLE, System
from tests.support.trading import FEED, Account, day
from trimtab.portfolios.ledger.store import LedgerStore


@pytest.fixture
def account(system: System) -> Account:
    """A portfolio that bought ten units, of which a split made twenty, and sold five."""
    account = Account(system, system.portfolio("1", {"AAPL": 100}))
    assert account.record("b", "BUY", 10, 1000, 1).status == 201
    split = {"ratio": 2, "per": 1}
    assert system.http("PUT", f"/assets/AAPL/splits/{day(3)[:10]}", split, authorizer=FEED).status in {200, 201}
    assert account.record("s", "SELL", 5, 300, 5).status == 201
    return account


def edit(table: str, sort_key: str, attribute: str, change: Any) -> None:
    """Replace an attribute of the only item with this sort key, past every rule."""
    client = boto3.client("dynamodb")
    (item,) = [item for item in client.scan(TableName=table)["Items"] if item["sk"]["S"] == sort_key]
    client.put_item(TableName=table, Item={**item, attribute: change(item[attribute])})


def compared(operator: Operator, account: Account) -> Any:
    """Compare the holdings of the portfolio and return the result of the command."""
    portfolio_id = account.portfolio["portfolio_id"]
    return operator.run("sums", "compare", "--tenant", "demo", "--portfolio-id", portfolio_id, "--json")


def rebuilt(operator: Operator, account: Account) -> Any:
    """Rebuild the holdings of the portfolio and return the result of the command."""
    portfolio_id = account.portfolio["portfolio_id"]
    return operator.run("sums", "rebuild", "--tenant", "demo", "--portfolio-id", portfolio_id, "--json")


def change_quantity(text: dict[str, str]) -> dict[str, str]:
    """Return the packed holdings with fifteen units as fourteen."""
    changed = text["S"].replace('"15', '"14', 1)
    assert changed != text["S"], text
    return {"S": changed}


def test_holdings_that_equal_the_fold_of_their_trades_are_consistent(operator: Operator, account: Account) -> None:
    result = compared(operator, account)
    rows = {row["sum"]: row for row in json.loads(result.stdout)}
    assert result.exit_code == 0
    assert float(rows["AAPL quantity"]["stored"]) == 15
    assert {row["differs"] for row in rows.values()} == {"no"}
    assert json.loads(rebuilt(operator, account).stdout) == []


def test_a_wrong_holding_is_found_and_repaired_with_its_event(operator: Operator, account: Account) -> None:
    before = account.holdings()
    edit(TABLE, "PORTFOLIO", "holdings", change_quantity)

    result = compared(operator, account)
    wrong = [row for row in json.loads(result.stdout) if row["differs"] == "yes"]
    assert (result.exit_code, [row["sum"] for row in wrong]) == (1, ["AAPL quantity"])

    assert rebuilt(operator, account).exit_code == 0
    assert compared(operator, account).exit_code == 0
    assert account.holdings() == before


def test_a_trade_recorded_during_a_repair_is_not_lost(operator: Operator, account: Account) -> None:
    edit(TABLE, "PORTFOLIO", "holdings", change_quantity)
    read = LedgerStore.trades_of

    def interrupted(*arguments: Any) -> Any:
        trades = read(*arguments)
        if len(trades) == 2:
            account.system.http("PATCH", account.home, {"name": "changed meanwhile"})
        return trades

    with mock.patch.object(LedgerStore, "trades_of", interrupted):
        result = rebuilt(operator, account)
    assert result.exit_code == 1
    assert "try again" in result.stderr


def test_a_portfolio_that_does_not_exist_is_an_error_of_one_line(operator: Operator) -> None:
    result = operator.run("sums", "compare", "--tenant", "demo", "--portfolio-id", "none")
    assert (result.exit_code, result.stderr) == (1, "Error: Not found: portfolio.\n")


def test_totals_of_a_bettor_are_compared_and_rebuilt(system: System, operator: Operator) -> None:
    bettor = Bettor(system)
    bettor.place_successfully("BACK", 10, "3.50")
    command = ("--tenant", "demo", "--user-id", "1", "--json")
    assert operator.run("sums", "compare", *command).exit_code == 0

    edit(BETTING_TABLE, "TOTALS", "orders_placed", lambda number: {"N": str(int(number["N"]) - 1)})

    result = operator.run("sums", "compare", *command)
    wrong = [row for row in json.loads(result.stdout) if row["differs"] == "yes"]
    assert (result.exit_code, [(row["sum"], row["stored"], row["recomputed"]) for row in wrong]) == (
        1,
        [("orders_placed", "0", "1")],
    )
    assert operator.run("sums", "rebuild", *command).exit_code == 0
    assert operator.run("sums", "compare", *command).exit_code == 0


@pytest.mark.parametrize("options", [[], ["--user-id", "1", "--portfolio-id", "p"]])
def test_a_comparison_needs_exactly_one_subject(operator: Operator, options: list[str]) -> None:
    result = operator.run("sums", "compare", "--tenant", "demo", *options)
    assert (result.exit_code, "either --user-id or --portfolio-id" in result.stderr) == (2, True)


def test_daily_values_are_requested_again_from_a_day(operator: Operator) -> None:
    operator.queues["valuations"] = operator.system.valuations_url
    result = operator.run("sums", "revalue", "--tenant", "demo", "--portfolio-id", "p", "--since", "2026-11-02")
    assert result.exit_code == 0
    ((body, _),) = take_messages(operator.system.valuations_url)
    message = json.loads(body)
    assert (message["tenant_id"], message["portfolio_id"], message["since"]) == ("demo", "p", "2026-11-02")

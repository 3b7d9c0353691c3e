"""Statements with every kind of row that three brokers write, imported by preset."""

import re
from typing import Any

import pytest

from tests.support.moto_state import stored_items
from tests.support.statements import PRICES, STATEMENTS, Statement, found_holdings, found_income, spin_off
from tests.support.system import System
from tests.support.trading import FEED, Account, account

SYMBOLS = {symbol: symbol for symbol in PRICES}


def send(mine: Account, statement: Statement, kind: str) -> Any:
    """Import a statement and return the response."""
    answer = mine.upload(statement.text(SYMBOLS), kind=kind, query={"preset": statement.preset})
    assert answer.status == 200, answer.text
    return answer.json


def quotes(system: System) -> None:
    """Store the quotes after the last row of the statements."""
    body = [{"symbol": symbol, "price": price, "as_of": "2026-04-01T15:00:00Z"} for symbol, price in PRICES.items()]
    assert system.http("POST", "/quotes", {"quotes": body}, authorizer=FEED).status == 202
    system.process_quotes()


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.preset)
def test_a_statement_with_every_kind_of_row_gives_cash_holdings_income_and_profit(
    system: System, statement: Statement
) -> None:
    mine = account(system)
    path = "/assets/AAPL/splits/2026-02-20"
    assert system.http("PUT", path, {"ratio": 4, "per": 1}, authorizer=FEED).status == 200
    cash, trades = (send(mine, statement, kind) for kind in ("cash", "trades"))
    assert (cash["recorded"], trades["recorded"]) == statement.recorded
    assert trades["ignored"] == statement.ignored
    assert_corporate_actions_have_advice(statement, trades["unrecorded"])
    assert mine.post_trade(spin_off(statement, SYMBOLS)).status == 201
    assert mine.holdings()["cash"] == statement.cash
    assert found_holdings(mine.holdings(), SYMBOLS) == statement.holdings
    assert found_income(system.http("GET", f"{mine.home}/income").json, SYMBOLS) == statement.income
    quotes(system)
    profit = system.http("GET", f"{mine.home}/cumulative-returns").json
    assert (profit["realised"], profit["unrealised"], profit["total"]) == statement.profit
    before = stored_items()
    again = [send(mine, statement, kind) for kind in ("cash", "trades")]
    assert [(each["recorded"], each["already_recorded"]) for each in again] == [(0, n) for n in statement.recorded]
    assert stored_items() == before


def assert_corporate_actions_have_advice(statement: Statement, rows: list[Any]) -> None:
    """Compare the rows to record otherwise with the spin-off and the splits in the file."""
    lines = statement.text({}).splitlines()
    actions = {number: line.lower() for number, line in enumerate(lines, 1) if re.search(r"(?i)spin-?off|split", line)}
    found = {int(re.findall(r"^line (\d+): ", row["field"])[0]): row["detail"] for row in rows}
    assert found.keys() == actions.keys()
    assert len(found) >= 2
    for number, advice in found.items():
        assert ("`spin_off`" in advice) is ("spin" in actions[number])
        assert ("platform enters splits" in advice) is ("split" in actions[number])


def test_units_that_come_in_at_an_unknown_cost_are_ignored(system: System) -> None:
    mine = account(system)
    header = '"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"'
    row = '"01/08/2026","Security Transfer","MSFT","","5","","",""'
    answer = mine.upload(f"{header}\n{row}\n", query={"preset": "schwab"})
    assert answer.json["ignored"] == {"Security Transfer": 1}
    (row,) = answer.json["unrecorded"]
    assert (row["field"], "`transfer_in` with the cost" in row["detail"]) == ("line 2: Security Transfer", True)
    assert mine.system.http("GET", answer.json["links"]["self"].replace("../..", "")).json["unrecorded"] == [row]
    assert mine.trades()["items"] == []

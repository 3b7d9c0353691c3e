"""Exports are files that imports take: a portfolio and its copy have the same holdings and the same cash."""

import re
from typing import Any

import pytest

from tests.support.balancing import balanced
from tests.support.moto_state import stored_items
from tests.support.system import EVENTS, System, authorized
from tests.support.trading import START, Account, account, counts, day, ledger_items, refused

TRADE_HEADER = (
    "ref_id,side,security_type,symbol,quantity,amount,fees,status,executed_at,currency,kind,spun_off_from,acquired_on"
)


def export(mine: Account, name: str, **query: Any) -> list[str]:
    """Return the files of an export, following the links to the next file."""
    files: list[str] = []
    found: dict[str, Any] | None = query
    while found is not None:
        answer = mine.system.http("GET", f"{mine.home}/{name}.csv", query=found or None)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8; header=present")
        files.append(answer.text)
        link = re.fullmatch(r'<\?(.*)>; rel="next"', answer.headers.get("Link", ""))
        found = None if link is None else dict(re.findall(r"([^=&]+)=([^&]+)", link[1].replace("%3A", ":")))
    return files


def copy_of(mine: Account, user_id: str = "copy", **query: Any) -> Account:
    """Import all files of a portfolio into an empty portfolio."""
    copy = account(mine.system, user_id)
    for kind in ("cash", "trades"):
        for file in export(mine, kind, **query):
            if file.count("\n") > 1:
                assert copy.upload(file, kind=kind).status == 200, file
    return copy


def holdings(mine: Account) -> Any:
    """Return the holdings and the cash."""
    return mine.holdings()


def varied(system: System) -> Account:
    """Return a portfolio with corrected, pending and failed trades, odd symbols, and cash of every kind."""
    mine = account(system)
    for number, (type, amount) in enumerate(
        [("deposit", "10000"), ("dividend", "12.345678"), ("fee", "0.005"), ("withdrawal", "5")]
    ):
        body = {"ref_id": f"c{number}", "type": type, "amount": amount, "executed_at": day(number)}
        assert system.http("POST", f"{mine.home}/cash", body).status == 201
    mine.record("a", "BUY", "10.123456789", "1500.004", 1, fees="1.00535")
    mine.record("b", "SELL", "3.1", "600", 5, fees="0.000000001")
    mine.record("c", "BUY", "2", "100", 2, symbol="BTC/USD", security_type="crypto")
    mine.record("d", "BUY", "7", "70", 3, symbol="^GSPC", status="pending")
    mine.record("auth0|e:1@x", "BUY", "7", "70", 3, symbol="EURUSD=X", status="failed")
    assert mine.correct("a", quantity="11.5").status == 200
    return mine


@pytest.mark.parametrize("limit", ["1", "2", "2000"])
def test_an_export_imported_into_an_empty_portfolio_gives_equal_holdings_and_cash(system: System, limit: str) -> None:
    mine = varied(system)
    copy = copy_of(mine, limit=limit)
    assert holdings(copy) == holdings(mine)
    assert export(copy, "trades") == export(mine, "trades")
    assert export(copy, "cash") == export(mine, "cash")


def test_the_fills_of_rebalances_are_exported_with_the_trades(system: System) -> None:
    mine = balanced(system)
    mine.move(AAPL=140)
    assert holdings(copy_of(mine.account)) == holdings(mine.account)


def test_an_export_is_ordered_by_time_and_bounded_by_a_period(system: System) -> None:
    mine = varied(system)
    (text,) = export(mine, "trades", **{"from": day(2), "to": day(5)})
    header, *rows = text.splitlines()
    assert header == TRADE_HEADER
    assert [row.partition(",")[0] for row in rows] == ["c", "auth0|e:1@x", "d"]
    assert (
        rows[0] == f"c,BUY,crypto,BTC/USD,2,100,0,success,{START.replace(day=3):%Y-%m-%dT%H:%M:%S}.000000Z,USD,trade,,"
    )
    (cash,) = export(mine, "cash", **{"from": day(1), "to": day(3)})
    assert [row.split(",")[:3] for row in cash.splitlines()[1:]] == [
        ["c1", "dividend", "12.345678"],
        ["c2", "fee", "0.005"],
    ]


def test_an_export_of_an_empty_portfolio_is_a_header(system: System) -> None:
    assert export(account(system), "trades") == [TRADE_HEADER + "\n"]
    assert export(account(system), "cash") == ["ref_id,type,amount,executed_at,currency,symbol\n"]


def test_an_export_of_more_rows_than_its_limit_links_the_next_file(system: System) -> None:
    mine = account(system)
    header = TRADE_HEADER.partition(",currency")[0]
    rows = [f"r{number:03},BUY,stock,AAPL,1,2,0,success,{day(number / 24)}" for number in range(250)]
    assert counts(mine.import_file("\n".join([header, *rows]))) == (250, 0)
    files = export(mine, "trades", limit="120")
    assert [file.count("\n") - 1 for file in files] == [120, 120, 10]
    exported = [row.partition(",")[0] for file in files for row in file.splitlines()[1:]]
    assert exported == [f"r{number:03}" for number in range(250)]


@pytest.mark.parametrize("query", [{"limit": "2001"}, {"limit": "0"}, {"cursor": "x"}, {"from": "now"}])
def test_an_invalid_parameter_of_an_export_is_refused(system: System, query: dict[str, str]) -> None:
    mine = account(system)
    for name in ("trades", "cash"):
        assert system.http("GET", f"{mine.home}/{name}.csv", query=query).status == 400


def test_an_export_of_another_owner_is_not_found(system: System) -> None:
    mine = account(system)
    for name in ("trades", "cash"):
        answer = system.http("GET", f"{mine.home}/{name}.csv", authorizer=authorized(user_id="2"))
        assert answer.status == 404


def test_the_sample_of_cash_entries_is_imported_once(system: System) -> None:
    mine = account(system)
    sample = (EVENTS / "direct/cash.csv").read_text()
    assert counts(mine.import_file(sample, kind="cash")) == (3, 0)
    before = stored_items()
    assert counts(mine.import_file(sample, kind="cash")) == (0, 3)
    assert stored_items() == before
    assert mine.holdings()["cash"] == "9512.35"
    changed = mine.upload(sample.replace("500.00", "501.00"), kind="cash")
    assert refused(changed, 409, "ref_id_reused")["errors"][0]["field"] == "line 4: ref_id"


def test_imported_cash_is_never_below_zero_at_any_instant(system: System) -> None:
    mine = account(system)
    out = [f"o{number},withdrawal,1,{day(50 + number)}" for number in range(95)]
    late = [f"i{number},deposit,1,{day(51 + number)}" for number in range(95)]
    early = [f"i{number},deposit,1,{day(number)}" for number in range(95)]
    header = "ref_id,type,amount,executed_at"
    rejected = mine.import_file("\n".join([header, *out, *late]), kind="cash")
    assert rejected["status"] == "REJECTED"
    assert f"from {day(50)[:10]}T00:00:00.000000Z on, by 1 at the lowest" in rejected["reason"]
    assert ledger_items() == []
    assert counts(mine.import_file("\n".join([header, *out, *early]), kind="cash")) == (190, 0)
    assert mine.holdings()["cash"] == "0.00"


def test_an_invalid_row_of_cash_is_named_and_nothing_is_recorded(system: System) -> None:
    mine = account(system)
    text = "ref_id,type,amount\na,deposit,1\nb,gift,1\nc,deposit,-1\na,fee,1\nimport,deposit,1\n"
    problem = refused(mine.upload(text, kind="cash"), 400, "invalid_rows")
    fields = [error["field"] for error in problem["errors"]]
    assert fields == ["line 3: type", "line 4: amount", "line 5: ref_id", "line 6: ref_id"]
    assert ledger_items() == []

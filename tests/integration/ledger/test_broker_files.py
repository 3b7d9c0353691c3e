"""Files of brokers: statements by preset, and files of any columns, separators and decimal marks by mapping."""

from typing import Any

import pytest

from tests.support.moto_state import stored_items
from tests.support.system import EVENTS, System
from tests.support.trading import Account, account, ledger_items, refused

PRESETS = ("interactive_brokers", "schwab", "trading_212")


@pytest.fixture
def mine(system: System) -> Account:
    """A portfolio of user 1."""
    return account(system)


def statement(preset: str) -> str:
    """Return the sample statement of a preset."""
    return (EVENTS / f"direct/{preset}.csv").read_text()


def send(mine: Account, text: str, kind: str = "trades", **query: Any) -> Any:
    """Import a file and return the counts of recorded, skipped and ignored rows."""
    answer = mine.upload(text, kind=kind, query=query)
    assert answer.status == 200, answer.text
    return tuple(answer.json[name] for name in ("recorded", "already_recorded", "ignored"))


def rejected(mine: Account, text: str, kind: str = "trades", **query: Any) -> list[str]:
    """Assert that a file has invalid rows and changes nothing; return the fields of the errors."""
    problem = refused(mine.upload(text, kind=kind, query=query), 400, "invalid_rows")
    assert ledger_items() == []
    return [error["field"] for error in problem["errors"]]


def trades(mine: Account) -> dict[str, tuple[Any, ...]]:
    """Return time, amount and fees of the trades by side, quantity and symbol, oldest first."""
    return {
        f"{trade['side']} {float(trade['quantity']):g} {trade['symbol']}": (
            *(trade["executed_at"][:19], trade["amount"], trade["fees"]),
        )
        for trade in reversed(mine.trades()["items"])
    }


def entries(mine: Account) -> list[tuple[str, str, str]]:
    """Return time, type and amount of the cash entries, oldest first."""
    items = mine.system.http("GET", f"{mine.home}/cash").json["items"]
    return [(entry["executed_at"][:19], entry["type"], entry["amount"]) for entry in reversed(items)]


def test_an_activity_statement_of_interactive_brokers_is_imported(mine: Account) -> None:
    text = statement("interactive_brokers")
    assert send(mine, text, "cash", preset="interactive_brokers") == (4, 0, {"Trades": 3, "Trades: Forex": 1})
    others = {"Deposits & Withdrawals": 2, "Dividends": 1, "Withholding Tax": 1, "Trades: Forex": 1}
    assert send(mine, text, preset="interactive_brokers") == (3, 0, others)
    assert trades(mine) == {  # 09:31 in New York is 14:31 in winter and 13:31 in summer
        "BUY 10 AAPL": ("2026-01-05T14:31:12", "1501.25", "1.00535"),
        "BUY 1200 BRK.B": ("2026-01-06T20:59:59", "3000.00", "6.000000001"),
        "SELL 4 AAPL": ("2026-03-16T14:15:00", "722.00", "1.0075"),
    }
    assert entries(mine) == [
        ("2026-01-02T00:00:00", "deposit", "10000.00"),
        ("2026-02-12T00:00:00", "dividend", "2.60"),
        ("2026-02-12T23:59:59", "tax", "0.39"),
        ("2026-03-31T23:59:59", "withdrawal", "500.00"),
    ]
    # 10000 + 2.60 - 0.39 - 500 - 1502.26 - 3006.00 + 720.99
    assert mine.holdings()["cash"] == "5714.94"


def test_a_history_of_schwab_is_imported(mine: Account) -> None:
    text = statement("schwab")
    others = {"Buy": 1, "Reinvest Shares": 1, "Sell": 1, "Stock Split": 1}
    assert send(mine, text, "cash", preset="schwab") == (3, 0, others)
    others = {"MoneyLink Transfer": 2, "Qualified Dividend": 1, "Stock Split": 1}
    assert send(mine, text, preset="schwab") == (3, 0, others)
    assert trades(mine) == {
        "BUY 10 AAPL": ("2026-01-05T20:00:00", "1501.25", "0.00"),
        "BUY 0.0321 VTI": ("2026-01-05T20:00:00", "9.97", "0.00"),
        "SELL 4 AAPL": ("2026-03-16T20:00:01", "722.00", "0.02"),
    }
    assert [type for _, type, _ in entries(mine)] == ["deposit", "dividend", "withdrawal"]
    assert mine.holdings()["cash"] == "8713.36"  # 10000 - 1501.25 - 9.97 + 2.60 + 721.98 - 500


def test_a_history_of_trading_212_is_imported(mine: Account) -> None:
    text = statement("trading_212")
    others = {"Market buy": 1, "Limit buy": 1, "Limit sell": 1, "Stock split open": 1}
    assert send(mine, text, "cash", preset="trading_212") == (4, 0, others)
    others = {"Deposit": 1, "Dividend (Ordinary)": 1, "Interest on cash": 1, "Stock split open": 1, "Withdrawal": 1}
    assert send(mine, text, preset="trading_212") == (3, 0, others)
    assert trades(mine) == {
        "BUY 10 AAPL": ("2026-01-05T14:31:12", "1501.25", "2.25"),
        "BUY 3.12346 VWCE": ("2026-01-06T09:00:01", "316.09", "0.00"),
        "SELL 4 AAPL": ("2026-03-16T14:15:00", "722.00", "1.00"),
    }
    assert {trade["ref_id"] for trade in mine.trades()["items"]} == {f"EOF000000000{number}" for number in (1, 2, 3)}
    assert mine.holdings()["cash"] == "8404.17"  # 10000 - 1503.50 - 316.09 + 2.21 + 0.55 + 721.00 - 500


@pytest.mark.parametrize("preset", PRESETS)
def test_a_statement_imported_again_changes_nothing(mine: Account, preset: str) -> None:
    for kind in ("cash", "trades"):
        recorded, _, _ = send(mine, statement(preset), kind, preset=preset)
        before = stored_items()
        assert send(mine, statement(preset), kind, preset=preset)[:2] == (0, recorded)
        assert stored_items() == before


@pytest.mark.parametrize(
    ("preset", "recorded_before", "income"),
    [
        (
            "interactive_brokers",
            [
                ("interactive_brokers-6d1bb3625bea5fded7789a6796639c9f", "dividend", "2.60", "2026-02-12T00:00:00Z"),
                ("interactive_brokers-582cc0efd83eabd2f248f3b4b79c2a99", "fee", "0.39", "2026-02-12T23:59:59Z"),
            ],
            {"AAPL": ("2.60", "0.00", "0.00", "0.39")},
        ),
        (
            "trading_212",
            [
                ("trading_212-86af55e87f18b619e7743d23466f0e1c", "dividend", "2.21", "2026-02-12T10:00:00Z"),
                ("i-0001", "dividend", "0.55", "2026-02-28T02:00:00Z"),
            ],
            {"AAPL": ("2.21", "0.00", "0.00", "0.00"), None: ("0.00", "0.55", "0.00", "0.00")},
        ),
    ],
)
def test_income_has_its_own_type_and_the_rows_of_an_earlier_release_are_recognised(
    system: System, preset: str, recorded_before: list[tuple[str, ...]], income: Any
) -> None:
    """Earlier releases recorded interest as `dividend`, taxes as `fee`, and no symbols, with the same ids."""
    mine, earlier = account(system), account(system, "earlier")
    recorded, _, _ = send(mine, statement(preset), "cash", preset=preset)
    rows = system.http("GET", f"{mine.home}/income").json["items"]
    names = ("dividends", "interest", "fees", "taxes")
    assert {row["symbol"]: tuple(row[name] for name in names) for row in rows} == income

    earlier.cash("opening", "deposit", 1, -1)
    for ref_id, type, amount, at in recorded_before:
        body = {"ref_id": ref_id, "type": type, "amount": amount, "executed_at": at}
        assert system.http("POST", f"{earlier.home}/cash", body).status == 201
    already = len(recorded_before)
    assert send(earlier, statement(preset), "cash", preset=preset)[:2] == (recorded - already, already)
    assert send(earlier, statement(preset), "cash", preset=preset)[:2] == (0, recorded)


def test_equal_rows_of_a_statement_are_two_trades_and_an_overlapping_statement_has_the_same_ids(mine: Account) -> None:
    header, *rows = statement("schwab").splitlines()
    buy = next(row for row in rows if '"Buy"' in row)
    assert send(mine, "\n".join([header, buy, buy]), preset="schwab") == (2, 0, {})
    assert send(mine, "\n".join([header, *rows, buy]), preset="schwab")[:2] == (2, 2)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_file_of_another_layout_is_not_of_the_preset(mine: Account, preset: str) -> None:
    for other in {*PRESETS, "trades"} - {preset}:
        refused(mine.upload(statement(other), query={"preset": preset}), 400, "invalid_header")


@pytest.mark.parametrize(
    ("preset", "before", "after", "field"),
    [
        ("interactive_brokers", '"2026-01-05, 09:31:12"', "2026-01-05", "line 7: Date/Time"),
        ("interactive_brokers", '"1,200"', "1,200", "line 8"),
        ("interactive_brokers", ",-1.00535,", ",1.00535,", "line 7: fees"),
        ("interactive_brokers", "Comm/Fee,", "Commission,", "line 7: Comm/Fee"),
        ("schwab", "$150.125", "$1,50.125", None),
        ("schwab", "-$1,501.25", "-$1,50.25", "line 7: Amount"),
        ("schwab", '01/05/2026","Buy', '31/05/2026","Buy', "line 7: Date"),
        ("trading_212", "2.25,USD", "2.25,GBP", "line 3: Currency conversion fee"),
        ("trading_212", "2026-01-05 14:31:12.345", "yesterday", "line 3: Time"),
        ("trading_212", "10.0000000000,150", "10.0000000001,150", "line 3: No. of shares"),
    ],
)
def test_an_invalid_cell_of_a_statement_is_named(
    mine: Account, preset: str, before: str, after: str, field: str | None
) -> None:
    text = statement(preset)
    assert before in text
    answer = mine.upload(text.replace(before, after, 1), query={"preset": preset})
    if field is None:  # the price of a statement is not read: the amount is exact
        assert answer.status == 200
        return
    assert field in [error["field"] for error in refused(answer, 400, "invalid_rows")["errors"]]
    assert ledger_items() == []


def test_rows_in_another_currency_than_the_portfolio_are_refused(system: System) -> None:
    mine = account(system, currency="EUR")
    for kind in ("trades", "cash"):
        answer = mine.upload(statement("trading_212"), kind=kind, query={"preset": "trading_212"})
        assert refused(answer, 422, "other_currency")["errors"][0]["detail"] == "The portfolio is in EUR."
    assert ledger_items() == []


GERMAN = """Auftrag;Datum;Richtung;Kürzel;Stück;Kurs;Gebühr;Notiz
A-1;2026-01-05T15:30:00+01:00;buy;SAP.DE;1.200;101,2;5,9;"erste; Order"
A-2;2026-01-06T15:30:00+01:00;Sell;SAP.DE;200,5;103,25;0;
"""
GERMAN_MAP = [
    *("ref_id:Auftrag", "executed_at:Datum", "side:Richtung", "symbol:Kürzel", "quantity:Stück", "price:Kurs"),
    "fees:Gebühr",
]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_file_of_any_columns_is_imported_by_a_map(mine: Account, separator: str) -> None:
    text = "\ufeff" + GERMAN.replace("; Order", ", Order").replace(";", separator)
    query: dict[str, Any] = {"map": GERMAN_MAP, "decimal": "comma", "security_type": "etf"}
    assert send(mine, text, **query) == (2, 0, {})
    assert trades(mine) == {
        "BUY 1200 SAP.DE": ("2026-01-05T14:30:00", "121440.00", "5.90"),
        "SELL 200.5 SAP.DE": ("2026-01-06T14:30:00", "20701.625", "0.00"),
    }
    assert mine.holding("SAP.DE")["security_type"] == "etf"


def test_a_mapped_file_needs_no_ids(mine: Account) -> None:
    columns = [pair for pair in GERMAN_MAP if not pair.startswith("ref_id")]
    query: dict[str, Any] = {"map": columns, "decimal": "comma", "security_type": "stock"}
    assert send(mine, GERMAN, **query)[:2] == (2, 0)
    assert send(mine, GERMAN, **query)[:2] == (0, 2)


def test_a_comma_in_a_number_is_rejected_where_the_file_does_not_tell_its_meaning(mine: Account) -> None:
    query: dict[str, Any] = {"map": GERMAN_MAP, "security_type": "stock"}
    assert rejected(mine, GERMAN, **query) == ["line 2: Kurs", "line 3: Stück"]
    assert rejected(mine, GERMAN.replace("1.200", "1,200"), **query)[0] == "line 2: Stück"


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("a,BUY,stock,A,2,700,5.00,,,,,", "line 2"),
        ("a,BUY,stock,A,2,700,5.00,,", "line 2"),
        ('a,BUY,stock,A,"2,70",5.00,,,,,', "line 2: quantity"),
        ('a,BUY,stock,A,"2.700,00",5.00,,,,,', "line 2: quantity"),
    ],
)
def test_a_thousand_without_quotes_is_an_error_of_its_row(mine: Account, row: str, field: str) -> None:
    header = "ref_id,side,security_type,symbol,quantity,amount,price,fees,status,executed_at,currency"
    assert rejected(mine, f"{header}\n{row}\n") == [field]
    assert send(mine, f'{header}\na,BUY,stock,A,"2,700","5,400.00",,,,,USD\n') == (1, 0, {})
    assert mine.sums("A") == ("2700", "5400.00", "0.00")


@pytest.mark.parametrize(
    ("query", "type"),
    [
        ({"map": ["symbol"]}, "invalid_map"),
        ({"map": ["symbol:"]}, "invalid_map"),
        ({"map": ["symbol:a", "symbol:b"]}, "invalid_map"),
        ({"map": ["unknown:Kurs"]}, "invalid_map"),
        ({"map": ["symbol:Absent"]}, "invalid_header"),
        ({"map": ["symbol:Kürzel"], "preset": "schwab"}, "invalid_map"),
        ({"decimal": "comma", "preset": "schwab"}, "invalid_map"),
        ({"preset": "unknown"}, "invalid_request"),
        ({"decimal": "dot"}, "invalid_request"),
        ({"map": ["symbol:a"] * 21}, "invalid_request"),
    ],
)
def test_an_invalid_parameter_of_an_import_is_refused(mine: Account, query: Any, type: str) -> None:
    refused(mine.upload(GERMAN, query=query), 400, type)


def test_an_import_into_an_unknown_portfolio_is_not_found_even_without_rows(system: System) -> None:
    mine = Account(system, {"portfolio_id": "unknown"})
    only_trades = "\n".join(line for line in statement("schwab").splitlines() if "Transfer" not in line)
    only_trades = "\n".join(line for line in only_trades.splitlines() if "Dividend" not in line)
    assert mine.upload(only_trades, kind="cash", query={"preset": "schwab"}).status == 404

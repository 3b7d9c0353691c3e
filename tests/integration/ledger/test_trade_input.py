"""Hostile and mistaken trades, corrections and cash entries get a 4xx response and change nothing."""

import json
from typing import Any

import pytest

from tests.support.moto_state import stored_items
from tests.support.system import System
from tests.support.trading import Account, account, quote, refused, split, trade

GOOD = trade("a", "BUY", "10", "100.00", 1)
NUMBERS: list[Any] = ["-1", -1, 0, "1.0000000001", "NaN", "1e400", "١٢", "1_0", "", " 1", "9" * 13, True, None, [], {}]


@pytest.fixture
def mine(system: System) -> Account:
    """A portfolio with cash and a single trade."""
    mine = account(system, cash="1000")
    mine.record("first", "BUY", 1, 1, 1)
    return mine


def all_refused(mine: Account, method: str, path: str, bodies: list[Any]) -> None:
    """Assert that each body gets a problem document with status 400 and changes nothing."""
    before = stored_items()
    for body in bodies:
        answer = mine.system.http(method, mine.home + path, body)
        assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json"), (body, answer.text)
    assert stored_items() == before


@pytest.mark.parametrize("field", ["quantity", "amount", "price", "fees"])
def test_an_invalid_number_of_a_trade_is_refused(mine: Account, field: str) -> None:
    base = {**GOOD, "amount": None} if field == "price" else GOOD
    bad = [number for number in NUMBERS if field != "fees" or number != 0 or number is True]
    bodies = [{name: value for name, value in (base | {field: number}).items() if value is not None or name == field}
              for number in bad]  # fmt: skip
    all_refused(mine, "POST", "/trades", bodies)
    raw = json.dumps({**base, field: "@"})
    all_refused(
        mine, "POST", "/trades", [raw.replace('"@"', text) for text in ("NaN", "1e400", "-Infinity", "1" * 9999)]
    )


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"amount": "1.0000000001"},
        {"symbol": "\u0410APL"},
        {"symbol": "A#B"},
        {"symbol": "A" * 33},
        {"symbol": "A\n"},
        {"ref_id": "a#b"},
        {"ref_id": ""},
        {"ref_id": "r" * 129},
        {"ref_id": 7},
        {"side": "HOLD"},
        {"side": "buy"},
        {"security_type": "house"},
        {"status": "done"},
        {"executed_at": "2024-01-01"},
        {"executed_at": "2024-02-30T00:00:00Z"},
        {"executed_at": "0001-01-01T00:00:00+14:00"},
        {"executed_at": "0001-01-05T00:00:00Z"},
        {"executed_at": "1969-12-31T23:59:59Z"},
        {"executed_at": "3000-01-01T00:00:00Z"},
        {"executed_at": 1704067200},
        {"amount": "100", "price": "11"},
        {"amount": None, "price": "0.00001", "quantity": "0.00001"},
        *({name: ...} for name in ("ref_id", "side", "security_type", "symbol", "quantity", "amount")),
    ],
)
def test_an_invalid_trade_is_refused(mine: Account, change: Any) -> None:
    body = {name: value for name, value in (GOOD | change).items() if value is not ... and value is not None}
    all_refused(mine, "POST", "/trades", [body])


def test_an_invalid_correction_or_cash_entry_is_refused(mine: Account) -> None:
    bad = [number for number in NUMBERS if number is not None]
    corrections = [{name: number} for name in ("quantity", "amount") for number in bad]
    more: list[Any] = [
        {},
        {"quantity": None},
        {"symbol": "B#"},
        {"side": "HOLD"},
        {"fees": -1},
        {"security_type": "etf"},
        {"price": 1},
        {"status": "x"},
    ]
    all_refused(mine, "PATCH", "/trades/first", [*corrections, *more, {"executed_at": "now"}])
    entry = {"ref_id": "c", "type": "deposit", "amount": 1}
    entries = [entry | {"amount": number} for number in bad]
    all_refused(mine, "POST", "/cash", [*entries, entry | {"type": "gift"}, entry | {"ref_id": "#"}, entry | {"x": 1}])
    mine.cash("c", "deposit", 1)
    wrong = [{}, {"amount": 0}, {"type": "gift"}, {"executed_at": "now"}, {"is_void": "perhaps"}, {"balance": 1}]
    all_refused(mine, "PATCH", "/cash/c", wrong)


@pytest.mark.parametrize(
    "query",
    [{"symbol": "A#"}, {"symbol": "\u0410"}, {"status": "done"}, {"from": "now"}, {"to": "2024-01-01"}]
    + [{"limit": text} for text in ("0", "101", "x", "1e2")]
    + [{"cursor": text} for text in ("x", "", "\u0410")],
)
def test_an_invalid_filter_is_refused(mine: Account, query: Any) -> None:
    assert mine.system.http("GET", f"{mine.home}/trades", query=query).status == 400


def read_statuses(mine: Account) -> list[int]:
    """Return the HTTP statuses of all readable resources of the ledger."""
    resources = ("trades", "holdings", "cumulative-returns")
    return [mine.system.http("GET", f"{mine.home}/{resource}").status for resource in resources]


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [("0.000000001", "999999999999.99"), ("0.000000001", "10000000000"), ("999999999999.999999999", "0.01")],
)
def test_a_trade_at_the_limits_is_refused_or_stays_readable(system: System, quantity: str, amount: str) -> None:
    """A recorded trade must not break later responses."""
    mine = account(system)
    assert mine.record("a", "BUY", quantity, amount, 1).status in {201, 400, 422}
    assert read_statuses(mine) == [200, 200, 200]


def test_an_amount_derived_from_a_price_has_the_limit_of_a_given_amount(system: System) -> None:
    mine = account(system)
    body = {**trade("a", "BUY", "999999999999", None, 1), "price": "999999999999"}
    assert mine.post_trade(body).status in {400, 422}
    assert read_statuses(mine) == [200, 200, 200]


def test_a_portfolio_stays_readable_at_extreme_quotes_and_splits(system: System) -> None:
    mine = account(system)
    mine.record("a", "BUY", "999999999999", "1", 1)
    quote(system, "999999999999")
    for number in range(3):
        split(system, 2 + number, 1_000_000)
    assert read_statuses(mine) == [200, 200, 200]


def test_the_ref_id_import_is_reserved(system: System) -> None:
    """The gateway routes `/trades/import` apart: a PATCH to that path never reaches `/trades/{ref_id}`."""
    refused(account(system).record("import", "BUY", 1, 1, 1), 400, "invalid_request")

"""Income and costs by symbol and period: dividends, withheld taxes, interest and fees."""

from tests.support.system import Answer, System
from tests.support.trading import Account, account, day, refused


def earn(mine: Account, ref_id: str, type: str, amount: str, at: float, symbol: str | None = None) -> Answer:
    """Record an income or a cost of a symbol."""
    body = {"ref_id": ref_id, "type": type, "amount": amount, "executed_at": day(at)}
    return mine.system.http("POST", f"{mine.home}/cash", {**body, **({"symbol": symbol} if symbol else {})})


def test_income_is_added_up_by_symbol_and_period(system: System) -> None:
    mine = account(system, cash="0")
    mine.cash("in", "deposit", 1000, 0)
    for number, (type, amount, at, symbol) in enumerate(
        [
            ("dividend", "500", 1, "AAPL"),
            ("tax", "75", 1, "AAPL"),
            ("dividend", "20.005", 2, "MSFT"),
            ("interest", "3.5", 3, None),
            ("fee", "1.25", 4, None),
            ("dividend", "9", 5, "AAPL"),
        ]
    ):
        assert earn(mine, f"e{number}", type, amount, at, symbol).json["symbol"] == symbol
    mine.correct_cash("e5", is_void=True)
    income = system.http("GET", f"{mine.home}/income").json
    names = ("symbol", "dividends", "interest", "fees", "taxes", "net")
    assert [tuple(row[name] for name in names) for row in income["items"]] == [
        (None, "0.00", "3.50", "1.25", "0.00", "2.25"),
        ("AAPL", "500.00", "0.00", "0.00", "75.00", "425.00"),
        ("MSFT", "20.01", "0.00", "0.00", "0.00", "20.01"),
    ]
    assert tuple(income["total"][name] for name in names) == (None, "520.01", "3.50", "1.25", "75.00", "447.26")
    assert mine.holdings()["cash"] == "1447.26"
    profit = system.http("GET", f"{mine.home}/cumulative-returns").json
    assert (profit["income"], profit["cash_fees"], profit["total"]) == ("523.51", "76.25", "447.26")
    period = system.http("GET", f"{mine.home}/income", query={"from": day(2), "to": day(3)}).json
    assert [row["symbol"] for row in period["items"]] == ["MSFT"]


def test_only_income_and_costs_have_a_symbol_and_an_export_keeps_it(system: System) -> None:
    mine = account(system)
    problem = refused(earn(mine, "in", "deposit", "5", 1, "AAPL"), 400, "invalid_request")
    assert "A deposit has no symbol" in problem["errors"][0]["detail"]
    first = earn(mine, "d", "dividend", "5", 1, "AAPL")
    assert earn(mine, "d", "dividend", "5", 1, "AAPL").json == first.json
    refused(earn(mine, "d", "dividend", "5", 1, "MSFT"), 409, "ref_id_reused")
    refused(mine.correct_cash("d", type="deposit"), 422, "symbol_not_allowed")
    assert mine.correct_cash("d", symbol="MSFT").json["history"][0]["symbol"] == "AAPL"
    text = system.http("GET", f"{mine.home}/cash.csv").text
    other = account(system, "2")
    assert other.upload(text, kind="cash").json["recorded"] == 1
    assert system.http("GET", f"{other.home}/cash/d").json["symbol"] == "MSFT"

"""The made-up statements of three brokers in `events/statements`, and the ledger that each of them leads to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.config import ROOT

PRICES = {"AAPL": "46", "GE": "80", "GEV": "90", "MSFT": "410", "VTI": "311", "VWCE": "120"}
"""Quotes after the last row of the statements."""


@dataclass(frozen=True)
class Statement:
    """A statement and the result of its import by preset, after a split of AAPL and with the spin-off of GE recorded.

    `cost_of_spin_off` is a quarter of the cost of GE. `recorded` counts entries of cash and trades, `ignored` the rows
    of the import of trades by the broker's names. `holdings` are quantity, cost and realised profit; `income` is
    dividends, interest, fees and taxes; `profit` is realised, unrealised and total.
    """

    preset: str
    cost_of_spin_off: str
    recorded: tuple[int, int]
    ignored: Mapping[str, int]
    cash: str
    holdings: Mapping[str, tuple[str, str, str]]
    income: Mapping[str | None, tuple[str, str, str, str]]
    profit: tuple[str, str, str]

    def text(self, symbols: Mapping[str, str]) -> str:
        """Return the file with other symbols in place of those of the sample."""
        text = (ROOT / "events/statements" / f"{self.preset}.csv").read_text()
        for symbol in sorted(symbols, key=len, reverse=True):
            for end in (",", '"', "("):
                for start in (",", '"'):
                    text = text.replace(start + symbol + end, start + symbols[symbol] + end)
        return text


def spin_off(statement: Statement, symbols: Mapping[str, str]) -> dict[str, Any]:
    """Return the request to record the spin-off: no statement has the cost that moves."""
    return {
        "ref_id": "spin-off",
        "kind": "spin_off",
        "security_type": "stock",
        "symbol": symbols["GEV"],
        "quantity": 3,
        "amount": statement.cost_of_spin_off,
        "spun_off_from": symbols["GE"],
        "executed_at": "2026-03-02T20:00:00Z",
    }


STATEMENTS = (
    Statement(
        "interactive_brokers",
        "250.25",
        (7, 5),
        {
            "Corporate Actions": 2,
            **{"Deposits & Withdrawals": 2, "Dividends": 1, "Withholding Tax": 1, "Interest": 2, "Fees": 1},
        },
        # 10,000 - 1,502.26 - 1,001 + 2.60 - 0.39 + 1.25 - 0.75 - 4.50 + 538.99 - 500
        "7533.94",
        {
            "AAPL": ("28.000000000", "1051.58", "88.31"),  # 538.99 less 12/40 of 1,502.26
            "GE": ("10.000000000", "750.75", "0.00"),
            "GEV": ("3.000000000", "250.25", "0.00"),
            "MSFT": ("3.000000000", "1200.00", "0.00"),
        },
        {"AAPL": ("2.60", "0.00", "0.00", "0.39"), None: ("0.00", "1.25", "5.25", "0.00")},
        ("88.31", "335.42", "421.94"),
    ),
    Statement(
        "schwab",
        "250.00",
        (8, 7),
        {
            **{"MoneyLink Transfer": 2, "Spin-off": 1, "Stock Split": 1, "Reinvest Dividend": 1, "Bank Interest": 1},
            **{"NRA Tax Adj": 1, "Qualified Dividend": 1, "Margin Interest": 1, "Service Fee": 1},
        },
        # 10,000 - 1,501.25 - 1,000 + 2.60 - 0.39 + 1.25 - 0.75 - 4.50 + 9.97 - 9.97 + 539.98 + 20 - 500
        "7556.94",
        {
            "AAPL": ("28.000000000", "1050.87", "89.60"),  # 539.98 less 12/40 of 1,501.25
            "GE": ("10.000000000", "730.00", "0.00"),  # 1,000 less 250 and 20 of capital
            "GEV": ("3.000000000", "250.00", "0.00"),
            "MSFT": ("3.000000000", "1200.00", "0.00"),
            "VTI": ("0.032100000", "9.97", "0.00"),
        },
        {
            "AAPL": ("2.60", "0.00", "0.00", "0.39"),
            "VTI": ("9.97", "0.00", "0.00", "0.00"),
            None: ("0.00", "1.25", "5.25", "0.00"),
        },
        ("89.60", "357.14", "454.92"),
    ),
    Statement(
        "trading_212",
        "250.00",
        (5, 6),
        {
            **{"Deposit": 1, "Dividend (Ordinary)": 1, "Lending interest": 1, "Interest on cash": 1, "Withdrawal": 1},
            **{"Stock split close": 1, "Stock split open": 1, "Spin-off": 1},
        },
        # 10,000 - 1,503.50 - 1,000 + 2.21 + 0.20 + 1.25 + 539 - 500
        "7539.16",
        {
            "AAPL": ("28.000000000", "1052.45", "87.95"),  # 539.00 less 12/40 of 1,503.50
            "GE": ("10.000000000", "750.00", "0.00"),
            "GEV": ("3.000000000", "250.00", "0.00"),
            "MSFT": ("3.000000000", "1200.00", "0.00"),
            "VWCE": ("1.000000000", "0.00", "0.00"),
        },
        {"AAPL": ("2.21", "0.00", "0.00", "0.00"), None: ("0.00", "1.45", "0.00", "0.00")},
        ("87.95", "455.55", "547.16"),
    ),
)


def found_holdings(view: Any, symbols: Mapping[str, str]) -> dict[str, tuple[str, str, str]]:
    """Return quantity, cost and realised profit of a response's holdings by the symbols of the sample."""
    names = {mapped: symbol for symbol, mapped in symbols.items()}
    return {names[row["symbol"]]: (row["quantity"], row["cost_basis"], row["realised_profit"]) for row in view["items"]}


def found_income(view: Any, symbols: Mapping[str, str]) -> dict[str | None, tuple[str, str, str, str]]:
    """Return dividends, interest, fees and taxes of a response by the symbols of the sample."""
    names: dict[str | None, str | None] = {mapped: symbol for symbol, mapped in symbols.items()}
    return {
        names.get(row["symbol"]): (row["dividends"], row["interest"], row["fees"], row["taxes"])
        for row in view["items"]
    }

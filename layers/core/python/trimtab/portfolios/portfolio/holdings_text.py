"""Holdings of a portfolio as one text attribute: a JSON table with one list of column names.

Every write of a portfolio rewrites its holdings, and DynamoDB charges one write unit for each started kilobyte. A row
of the table takes about 80 bytes; a JSON object or a DynamoDB map for each holding would take more than twice as many.
The reader finds columns by name: an unknown column is ignored, and a missing column, or a value missing at the end of a
row, is read as its default.

The text of one holding, without the line breaks:

    {"v":1,
     "columns":["symbol","security_type","quantity","cost_basis","realised_profit","last_trade","trade_count",
                "split_count","last_split_at"],
     "rows":[["AAPL","stock","6","600","100",["2026-01-02T00:00:00.000000Z","t2"],2]]}
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from trimtab.contracts import stored_form
from trimtab.contracts.stored_form import Table, UnknownForm, to_table
from trimtab.portfolios.portfolio.holdings import Holding


class _StoredHoldings(Struct, frozen=True):
    v: int
    columns: list[str]
    rows: list[list[Any]]


def pack(holdings: Iterable[Holding]) -> str | None:
    """Return the text of the holdings, None where there are none."""
    table = to_table(holdings, Holding, optional={"oversold"})
    return stored_form.pack(_StoredHoldings(1, table.columns, table.rows)) if table.rows else None


def unpack(text: str) -> list[Holding]:
    """Return the holdings of a text written by `pack`; raises `UnknownForm` for the form of a newer release."""
    if not text:
        return []
    stored = stored_form.unpack(text, _StoredHoldings)
    match stored.v:
        case 1:
            named_rows = Table(stored.columns, stored.rows).named_rows()
            return [stored_form.from_attributes(row, Holding) for row in named_rows]
    raise UnknownForm("holdings", stored.v)

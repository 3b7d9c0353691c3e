"""Routes for files: imports and exports of trades and cash entries as CSV."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.portfolios_api.app import CSV, From, To, app, cash_importer, portfolios, trade_importer, trade_service
from trimtab.contracts.fields import WholeParameter
from trimtab.kernel.strict_csv import DecimalMark
from trimtab.portfolios.ledger import views
from trimtab.portfolios.ledger.broker_statements import Preset
from trimtab.portfolios.ledger.trade_file import MAX_ROWS, FileFormat, read_cash, read_trades, write_cash, write_trades
from trimtab.portfolios.portfolio.holdings import SecurityType
from trimtab.runtime.http.cursors import decode_cursor, encode_cursor
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.parameters import Cursor, PortfolioId
from trimtab.runtime.http.responses import json_response

READ, WRITE = "trades:read", "trades:write"
file_route = partial(route, tag="Trades")

FilePreset = Annotated[Preset | None, Query(description="The broker whose export is sent.")]
ColumnMap = Annotated[
    list[str] | None,
    Query(alias="map", max_length=20, description="The column of a member, such as `symbol:Ticker`; may be repeated."),
]
Decimals = Annotated[DecimalMark | None, Query(description="The decimal mark of the numbers; a point by default.")]
DefaultType = Annotated[SecurityType | None, Query(description="The type of the trades that state none.")]
ExportLimit = Annotated[WholeParameter, Query(ge=1, le=MAX_ROWS, description="The maximum number of rows of the file.")]


@app.post("/portfolios/<portfolio_id>/trades/import", **file_route("Import trades", WRITE, views.ImportView))
def import_trades(
    portfolio_id: PortfolioId,
    *,
    preset: FilePreset = None,
    columns: ColumnMap = None,
    decimal: Decimals = None,
    security_type: DefaultType = None,
) -> Response[Any]:
    """Import trades from CSV. All rows are validated first: one invalid row rejects the whole file.

    A large file is written in several transactions: a failure between transactions leaves some rows recorded. Send
    the same file again to complete the import; recorded rows are skipped.
    """
    format = FileFormat.of(preset, columns or (), decimal, security_type)
    file = read_trades(app.current_event.decoded_body or "", format)
    result = trade_importer().import_rows(app.caller, portfolio_id, file.rows)
    return json_response(views.import_view(result, file.ignored))


@app.post("/portfolios/<portfolio_id>/cash/import", **file_route("Import cash entries", WRITE, views.ImportView))
def import_cash(
    portfolio_id: PortfolioId, *, preset: FilePreset = None, columns: ColumnMap = None, decimal: Decimals = None
) -> Response[Any]:
    """Import cash entries from CSV, before or after the trades: balances follow from the times of execution."""
    file = read_cash(app.current_event.decoded_body or "", FileFormat.of(preset, columns or (), decimal))
    result = cash_importer().import_rows(app.caller, portfolio_id, file.rows)
    return json_response(views.import_view(result, file.ignored))


@app.get("/portfolios/<portfolio_id>/trades.csv", **file_route("Export trades", READ, text=CSV))
def export_trades(
    portfolio_id: PortfolioId,
    *,
    from_time: From = None,
    to_time: To = None,
    limit: ExportLimit = MAX_ROWS,
    cursor: Cursor = None,
) -> Response[Any]:
    """Export trades and fills as CSV in the format of the import, earliest execution first.

    The header `Link` has the address of the next file where rows are left.
    """
    query = (app.caller.tenant_id, "trades.csv", portfolio_id, repr((from_time, to_time)))
    after = decode_cursor(cursor, *query)
    portfolio = portfolios().get(app.caller, portfolio_id)
    page = trade_service().export_trades(portfolio, from_time, to_time, limit=limit, after=after)
    return _csv_response(write_trades(page.items, portfolio.currency), encode_cursor(page.next_position, *query))


@app.get("/portfolios/<portfolio_id>/cash.csv", **file_route("Export cash entries", READ, text=CSV))
def export_cash(
    portfolio_id: PortfolioId,
    *,
    from_time: From = None,
    to_time: To = None,
    limit: ExportLimit = MAX_ROWS,
    cursor: Cursor = None,
) -> Response[Any]:
    """Export cash entries as CSV in the format of the import, earliest execution first.

    The header `Link` has the address of the next file where rows are left.
    """
    query = (app.caller.tenant_id, "cash.csv", portfolio_id, repr((from_time, to_time)))
    after = decode_cursor(cursor, *query)
    portfolio = portfolios().get(app.caller, portfolio_id)
    page = trade_service().export_cash(portfolio, from_time, to_time, limit=limit, after=after)
    return _csv_response(write_cash(page.items, portfolio.currency), encode_cursor(page.next_position, *query))


def _csv_response(text: str, cursor: str | None) -> Response[Any]:
    """Return a CSV file, with the address of the next file relative to the request (RFC 8288)."""
    query = {**(app.current_event.query_string_parameters or {}), "cursor": cursor}
    headers = {"Link": f'<?{urlencode(query)}>; rel="next"'} if cursor else {}
    return Response(int(HTTPStatus.OK), f"{CSV}; charset=utf-8; header=present", text, headers=dict(headers))

"""Routes for exports of trades and cash entries as CSV."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.portfolios_api.app import CSV, From, To, app, portfolios, trade_service
from trimtab.contracts.fields import WholeParameter
from trimtab.portfolios.ledger.trade_file import MAX_EXPORTED_ROWS, write_cash, write_trades
from trimtab.runtime.http.cursors import decode_cursor, encode_cursor
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.parameters import Cursor, PortfolioId

READ, WRITE = "trades:read", "trades:write"
file_route = partial(route, tag="Trades")

ExportLimit = Annotated[
    WholeParameter, Query(ge=1, le=MAX_EXPORTED_ROWS, description="The maximum number of rows of the file.")
]


@app.get("/portfolios/<portfolio_id>/trades.csv", **file_route("Export trades", READ, text=CSV))
def export_trades(
    portfolio_id: PortfolioId,
    *,
    from_time: From = None,
    to_time: To = None,
    limit: ExportLimit = MAX_EXPORTED_ROWS,
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
    limit: ExportLimit = MAX_EXPORTED_ROWS,
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

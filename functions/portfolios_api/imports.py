"""Routes for imports of trades and cash entries from CSV files."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from functions.portfolios_api.app import app, import_service, portfolios, settings
from trimtab.contracts.fields import Identifier
from trimtab.kernel.strict_csv import DecimalMark
from trimtab.portfolios.ledger import import_views
from trimtab.portfolios.ledger.broker_statements import Preset
from trimtab.portfolios.ledger.file_entries import EntryKind
from trimtab.portfolios.ledger.imports import Import
from trimtab.portfolios.ledger.trade_file import FileFormat, ImportFile, read_cash, read_trades
from trimtab.portfolios.portfolio.holdings import SecurityType
from trimtab.runtime.http.cursors import decode_cursor
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.idempotency import bind_key
from trimtab.runtime.http.parameters import Cursor, IdempotencyKey, Limit, PortfolioId
from trimtab.runtime.http.responses import json_response, page_response, with_links

READ, WRITE = "trades:read", "trades:write"
import_route = partial(route, tag="Trades", answers=import_views.ImportView)

FilePreset = Annotated[Preset | None, Query(description="The broker whose export is sent.")]
ColumnMap = Annotated[
    list[str] | None,
    Query(alias="map", max_length=20, description="The column of a member, such as `symbol:Ticker`; may be repeated."),
]
Decimals = Annotated[DecimalMark | None, Query(description="The decimal mark of the numbers; a point by default.")]
DefaultType = Annotated[SecurityType | None, Query(description="The type of the trades that state none.")]
ImportId = Annotated[Identifier, Path(description="The `import_id` of an import.")]


@app.post(
    "/portfolios/<portfolio_id>/trades/import",
    **import_route("Import trades", WRITE, accepted=import_views.ImportView),
)
def import_trades(
    portfolio_id: PortfolioId,
    *,
    preset: FilePreset = None,
    columns: ColumnMap = None,
    decimal: Decimals = None,
    security_type: DefaultType = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Import trades from CSV, all rows or none. Idempotent: recorded rows are skipped.

    Up to 90 rows are recorded at once (200). More rows, up to 20,000, are recorded by a worker (202): the portfolio is
    locked meanwhile, and the link `self` of the response shows the progress.
    """
    format = FileFormat.of(preset, columns or (), decimal, security_type)
    file = read_trades(app.current_event.decoded_body or "", format)
    return _import_rows(portfolio_id, EntryKind.TRADE, file, idempotency_key)


@app.post(
    "/portfolios/<portfolio_id>/cash/import",
    **import_route("Import cash entries", WRITE, accepted=import_views.ImportView),
)
def import_cash(
    portfolio_id: PortfolioId,
    *,
    preset: FilePreset = None,
    columns: ColumnMap = None,
    decimal: Decimals = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Import cash entries from CSV, all rows or none, before or after the trades; more than 90 rows by a worker (202).

    Balances follow from the times of execution.
    """
    file = read_cash(app.current_event.decoded_body or "", FileFormat.of(preset, columns or (), decimal))
    return _import_rows(portfolio_id, EntryKind.CASH, file, idempotency_key)


@app.get("/portfolios/<portfolio_id>/imports", **route("List imports", READ, import_views.ImportList, tag="Trades"))
def list_imports(portfolio_id: PortfolioId, *, limit: Limit = 50, cursor: Cursor = None) -> Response[Any]:
    """List the imports into a portfolio, newest first."""
    query = (app.caller.tenant_id, "imports", portfolio_id)
    after = decode_cursor(cursor, *query)
    page = import_service().list_imports(portfolios().get(app.caller, portfolio_id), limit=limit, after=after)
    return page_response([_view(job) for job in page.items], page.next_position, *query)


@app.get("/portfolios/<portfolio_id>/imports/<import_id>", **import_route("Read an import", READ))
def read_import(portfolio_id: PortfolioId, import_id: ImportId) -> Response[Any]:
    """Read the status and the progress of an import."""
    return json_response(_view(import_service().get_import(app.caller, portfolio_id, import_id)))


@app.delete(
    "/portfolios/<portfolio_id>/imports/<import_id>",
    **import_route("Undo or cancel an import", WRITE, accepted=import_views.ImportView),
)
def undo_import(portfolio_id: PortfolioId, import_id: ImportId) -> Response[Any]:
    """Undo or cancel an import as a whole: delete the entries that it has recorded, corrected ones included.

    Refused (422) if a quantity or cash would be negative at any instant. The same file may be imported again. More than
    90 entries are deleted by a worker (202), but count no more at once. An import that a worker is still recording ends
    CANCELLED, with no entries (202).
    """
    return _done_or_accepted(import_service().undo(app.caller, portfolio_id, import_id))


def _import_rows(portfolio_id: str, kind: EntryKind, file: ImportFile[Any], key: str | None) -> Response[Any]:
    bind_key(app, key, settings().portfolios_table)
    result = import_service().import_rows(app.caller, portfolio_id, kind, file)
    counts = {"recorded": result.recorded, "already_recorded": result.already_recorded}
    return _done_or_accepted(result.job, **counts)


def _done_or_accepted(job: Import, **counts: int) -> Response[Any]:
    view = {**_view(job), **counts}
    if not job.is_open:
        return json_response(view)
    headers = {"Location": view["links"]["self"], "Retry-After": "5"}
    return json_response(view, HTTPStatus.ACCEPTED, headers)


def _view(job: Import) -> dict[str, Any]:
    return with_links(app, import_views.import_view(job))

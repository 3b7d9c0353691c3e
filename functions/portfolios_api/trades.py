"""The routes of trades, cash, holdings and returns."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.portfolios_api.app import (
    Cursor,
    JobId,
    Limit,
    PortfolioId,
    RefId,
    app,
    holdings,
    imports,
    portfolios,
    trades,
)
from trimtab.contracts.fields import Asset, Day, Identifier, Time
from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import no_such_thing
from trimtab.portfolios.ledger import views as schemas
from trimtab.portfolios.ledger.recalculation import Recalculation
from trimtab.portfolios.ledger.trade_file import read_csv
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.holdings import TradeStatus
from trimtab.portfolios.ports import TradeFilter
from trimtab.runtime import http
from trimtab.runtime.documentation import route

READ, WRITE = "trades:read", "trades:write"
trade_route = partial(route, tag="Trades")
holding_route = partial(route, tag="Holdings")

Symbol = Annotated[Asset | None, Query(description="Only trades of this symbol.")]
Status = Annotated[TradeStatus | None, Query(description="Only trades of this status.")]
From = Annotated[Time | None, Query(alias="from", description="Executed at this time or later.")]
AsOf = Annotated[Day | None, Query(description="A past day: what had been earned at its end.")]
To = Annotated[Time | None, Query(alias="to", description="Executed before this time.")]


@app.post(
    "/portfolios/<portfolio_id>/trades",
    **trade_route("Record a trade", WRITE, schemas.TradeView, HTTPStatus.CREATED, accepted=schemas.JobView),
)
def record_trade(portfolio_id: PortfolioId, body: schemas.RecordTrade) -> Response[Any]:
    """Record a trade: the holding and the cash change with it. The same trade again answers as the first did.

    202 where more than 10,000 trades have to be folded with it: then a worker does it.
    """
    return _written(trades().record(app.caller, portfolio_id, body.to_domain()), HTTPStatus.CREATED)


@app.patch(
    "/portfolios/<portfolio_id>/trades/<ref_id>",
    **trade_route("Correct a trade", WRITE, schemas.TradeView, accepted=schemas.JobView),
)
def correct_trade(portfolio_id: PortfolioId, ref_id: RefId, body: schemas.CorrectTrade) -> Response[Any]:
    """Correct a trade, also one that is not the newest: the holding becomes the fold of all trades as they are then."""
    return _written(trades().correct(app.caller, portfolio_id, ref_id, body.to_domain()), HTTPStatus.OK)


@app.get("/portfolios/<portfolio_id>/jobs/<job_id>", **trade_route("Read a recalculation", READ, schemas.JobView))
def read_job(portfolio_id: PortfolioId, job_id: JobId) -> Response[Any]:
    """Read what has become of a trade that was answered with 202."""
    job = trades().job(portfolios().get(app.caller, portfolio_id), job_id)
    return http.answer(schemas.job_view(job))


def _written(written: Trade | Recalculation, status: HTTPStatus) -> Response[Any]:
    if isinstance(written, Trade):
        return http.answer(schemas.trade_view(written), status)
    view = schemas.job_view(written)
    headers = {"Location": http.location(app, view["links"]["self"]), "Retry-After": "5"}
    return http.answer(view, HTTPStatus.ACCEPTED, headers)


@app.get("/portfolios/<portfolio_id>/trades", **trade_route("List trades", READ, schemas.TradeList))
def list_trades(
    portfolio_id: PortfolioId,
    *,
    symbol: Symbol = None,
    status: Status = None,
    from_time: From = None,
    to_time: To = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Any]:
    """List a portfolio's trades, latest execution first; a page may be short and not the last."""
    wanted = TradeFilter(symbol, status, from_time, to_time)
    query = (app.caller.tenant_id, "trades", portfolio_id, repr(wanted))
    after = http.decode_cursor(cursor, *query)
    page = trades().list(portfolios().get(app.caller, portfolio_id), wanted, limit=limit, after=after)
    return http.page([schemas.trade_view(it) for it in page.items], page.next_position, *query)


@app.post("/portfolios/<portfolio_id>/trades/import", **trade_route("Import trades", WRITE, schemas.ImportedView))
def import_trades(portfolio_id: PortfolioId) -> Response[Any]:
    """Import trades from CSV: nothing is written unless all rows are good; the same file again completes the first."""
    rows = read_csv(app.current_event.decoded_body or "")
    return http.answer(schemas.imported_view(imports().run(app.caller, portfolio_id, rows)))


@app.post(
    "/portfolios/<portfolio_id>/cash",
    **trade_route("Move cash", WRITE, schemas.CashView, HTTPStatus.CREATED),
)
def move_cash(portfolio_id: PortfolioId, body: schemas.MoveCash) -> Response[Any]:
    """Record cash that came in or went out; from the first entry on, cash is tracked and never below zero."""
    entry = trades().move_cash(app.caller, portfolio_id, body.to_domain())
    return http.answer(schemas.cash_view(entry), HTTPStatus.CREATED)


@app.get("/portfolios/<portfolio_id>/holdings", **holding_route("Read holdings", READ, schemas.HoldingList))
def read_holdings(portfolio_id: PortfolioId) -> Response[Any]:
    """Read every symbol that was ever held, with its quote and market value where they are known."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    return http.answer(schemas.holdings_view(portfolio, holdings().positions(portfolio)))


@app.get("/portfolios/<portfolio_id>/cumulative-returns", **holding_route("Read returns", READ, schemas.ReturnsView))
def read_returns(portfolio_id: PortfolioId, as_of: AsOf = None) -> Response[Any]:
    """Read what the portfolio has earned since its first trade, at the newest quotes or at the closes of a past day."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    if as_of is None or as_of >= utc_now().date():
        return http.answer(schemas.returns_view(holdings().returns(portfolio)))
    return http.answer(schemas.returns_view(holdings().returns_on(portfolio, as_of)))


@app.get(
    "/portfolio-summary", **holding_route("Read holdings in the form of the earlier API", READ, schemas.SummaryView)
)
def read_summary(
    portfolio_id: Annotated[Identifier, Query(description="The portfolio.")],
    user_id: Annotated[Identifier, Query(description="Its user.")],
) -> Response[Any]:
    """Read what is held now, for clients of the earlier API."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    if portfolio.user_id != user_id:
        raise no_such_thing()
    return http.answer(schemas.summary_view(holdings().positions(portfolio)))

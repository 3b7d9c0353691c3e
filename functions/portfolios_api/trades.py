"""Routes for trades, cash, holdings and profit."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.portfolios_api.app import (
    From,
    JobId,
    RefId,
    To,
    app,
    holdings_reader,
    portfolios,
    settings,
    trade_service,
)
from trimtab.contracts.fields import Asset, Day, Identifier
from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import not_found
from trimtab.portfolios.ledger import cash_views, holding_views, views
from trimtab.portfolios.ledger.recalculation import Recalculation
from trimtab.portfolios.ledger.store import TradeFilter
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.holdings import Side, TradeStatus
from trimtab.runtime.http.cursors import decode_cursor
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.idempotency import bind_key
from trimtab.runtime.http.parameters import Cursor, IdempotencyKey, Limit, PortfolioId
from trimtab.runtime.http.responses import json_response, page_response, with_links

READ, WRITE = "trades:read", "trades:write"
trade_route = partial(route, tag="Trades")
holding_route = partial(route, tag="Holdings")

Symbol = Annotated[Asset | None, Query(description="Only trades of this symbol.")]
TradeSide = Annotated[Side | None, Query(alias="side", description="Only trades of this side.")]
Status = Annotated[TradeStatus | None, Query(description="Only trades with this status.")]
AsOf = Annotated[Day | None, Query(description="A past day (UTC): the profit at the end of that day.")]


@app.post(
    "/portfolios/<portfolio_id>/trades",
    **trade_route("Record a trade", WRITE, views.TradeView, HTTPStatus.CREATED, accepted=views.JobView),
)
def record_trade(
    portfolio_id: PortfolioId, body: views.RecordTrade, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Record a trade and update holding and cash atomically. Idempotent by `ref_id`: a repeat gets the first response.

    The response is 202 if the holding has to be recomputed from more than 10,000 trades; a worker records the trade.
    """
    bind_key(app, idempotency_key, settings().portfolios_table)
    return _trade_or_job(trade_service().record_trade(app.caller, portfolio_id, body.to_domain()), HTTPStatus.CREATED)


@app.patch(
    "/portfolios/<portfolio_id>/trades/<ref_id>",
    **trade_route("Correct a trade", WRITE, views.TradeView, accepted=views.JobView),
)
def correct_trade(portfolio_id: PortfolioId, ref_id: RefId, body: views.CorrectTrade) -> Response[Any]:
    """Correct any trade; the holding is recomputed from all trades of the symbol.

    The response is 202 if there are more than 10,000 of these trades; a worker records the correction.
    """
    return _trade_or_job(trade_service().correct_trade(app.caller, portfolio_id, ref_id, body.to_domain()))


@app.patch(
    "/portfolios/<portfolio_id>/fills/<ref_id>",
    **trade_route("Correct a fill", "operator", views.TradeView, accepted=views.JobView),
)
def correct_fill(portfolio_id: PortfolioId, ref_id: RefId, body: views.CorrectFill) -> Response[Any]:
    """Correct a fill of a rebalance, as the broker's statement has it; the revision keeps author and reason."""
    changes, service = body.to_domain(), trade_service()
    corrected = service.correct_trade(app.caller, portfolio_id, ref_id, changes, reason_for_fill=body.reason)
    return _trade_or_job(corrected)


@app.get("/portfolios/<portfolio_id>/trades/<ref_id>", **trade_route("Read a trade", READ, views.TradeView))
def read_trade(portfolio_id: PortfolioId, ref_id: RefId) -> Response[Any]:
    """Read a trade of a client, or the fill of an order of a rebalance, with its earlier revisions."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    return json_response(views.trade_view(trade_service().get_trade(portfolio, ref_id)))


@app.get("/portfolios/<portfolio_id>/jobs/<job_id>", **trade_route("Read a recalculation", READ, views.JobView))
def read_job(portfolio_id: PortfolioId, job_id: JobId) -> Response[Any]:
    """Read the status of a recalculation, the job of a trade or correction that was answered with 202."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    return json_response(with_links(app, views.job_view(trade_service().get_recalculation(portfolio, job_id))))


def _trade_or_job(recorded: Trade | Recalculation, status: HTTPStatus = HTTPStatus.OK) -> Response[Any]:
    if isinstance(recorded, Trade):
        return json_response(views.trade_view(recorded), status)
    view = with_links(app, views.job_view(recorded))
    headers = {"Location": view["links"]["self"], "Retry-After": "5"}
    return json_response(view, HTTPStatus.ACCEPTED, headers)


@app.get("/portfolios/<portfolio_id>/trades", **trade_route("List trades", READ, views.TradeList))
def list_trades(
    portfolio_id: PortfolioId,
    *,
    symbol: Symbol = None,
    side: TradeSide = None,
    status: Status = None,
    from_time: From = None,
    to_time: To = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Any]:
    """List the trades of a portfolio, latest execution first.

    A page may have fewer than `limit` items although more follow: read pages until `next_cursor` is null.
    """
    wanted = TradeFilter(symbol, status, from_time, to_time, side)
    query = (app.caller.tenant_id, "trades", portfolio_id, repr(wanted))
    after = decode_cursor(cursor, *query)
    portfolio = portfolios().get(app.caller, portfolio_id)
    page = trade_service().list_trades(portfolio, wanted, limit=limit, after=after)
    return page_response([views.trade_view(trade) for trade in page.items], page.next_position, *query)


@app.post(
    "/portfolios/<portfolio_id>/cash",
    **trade_route("Move cash", WRITE, cash_views.CashView, HTTPStatus.CREATED),
)
def move_cash(
    portfolio_id: PortfolioId, body: cash_views.MoveCash, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Record a deposit or withdrawal. The balance at any instant follows from the times of all entries and trades.

    The response is 422 `insufficient_cash` if the balance would be negative at any instant, unless the portfolio's
    `cash_tracking` allows that.
    """
    bind_key(app, idempotency_key, settings().portfolios_table)
    entry = trade_service().move_cash(app.caller, portfolio_id, body.to_domain())
    return json_response(cash_views.cash_view(entry), HTTPStatus.CREATED)


@app.get("/portfolios/<portfolio_id>/cash/<ref_id>", **trade_route("Read a cash entry", READ, cash_views.CashView))
def read_cash(portfolio_id: PortfolioId, ref_id: RefId) -> Response[Any]:
    """Read a cash entry with its earlier revisions."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    return json_response(cash_views.cash_view(trade_service().get_cash_entry(portfolio, ref_id)))


@app.patch(
    "/portfolios/<portfolio_id>/cash/<ref_id>", **trade_route("Correct a cash entry", WRITE, cash_views.CashView)
)
def correct_cash(portfolio_id: PortfolioId, ref_id: RefId, body: cash_views.CorrectCash) -> Response[Any]:
    """Correct a cash entry, or make the entry void; the earlier revision is kept.

    The response is 422 `insufficient_cash` if the balance would be negative at any instant.
    """
    entry = trade_service().correct_cash(app.caller, portfolio_id, ref_id, body.to_domain())
    return json_response(cash_views.cash_view(entry))


@app.get("/portfolios/<portfolio_id>/cash", **trade_route("List cash entries", READ, cash_views.CashList))
def list_cash(
    portfolio_id: PortfolioId, *, from_time: From = None, to_time: To = None, limit: Limit = 50, cursor: Cursor = None
) -> Response[Any]:
    """List the cash entries of a portfolio, latest execution first. Trades change cash too; they are listed apart."""
    query = (app.caller.tenant_id, "cash", portfolio_id, repr((from_time, to_time)))
    after = decode_cursor(cursor, *query)
    portfolio = portfolios().get(app.caller, portfolio_id)
    page = trade_service().list_cash(portfolio, from_time, to_time, limit=limit, after=after)
    return page_response([cash_views.cash_view(entry) for entry in page.items], page.next_position, *query)


@app.get("/portfolios/<portfolio_id>/income", **holding_route("Read income", READ, cash_views.IncomeView))
def read_income(portfolio_id: PortfolioId, *, from_time: From = None, to_time: To = None) -> Response[Any]:
    """Read dividends, interest, fees and taxes of a period by symbol."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    entries = trade_service().income(portfolio, from_time, to_time)
    return json_response(cash_views.income_view(entries, portfolio.currency))


@app.get("/portfolios/<portfolio_id>/holdings", **holding_route("Read holdings", READ, holding_views.HoldingList))
def read_holdings(portfolio_id: PortfolioId) -> Response[Any]:
    """Read all holdings, including symbols no longer held; quote and market value are null without a quote."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    return json_response(holding_views.holdings_view(portfolio, holdings_reader().read_holdings(portfolio)))


@app.get(
    "/portfolios/<portfolio_id>/cumulative-returns", **holding_route("Read profit", READ, holding_views.ProfitView)
)
def read_returns(portfolio_id: PortfolioId, as_of: AsOf = None) -> Response[Any]:
    """Read the profit since the first entry, at the newest prices or at the last closes up to a past day.

    Dividends and cash fees count.
    """
    portfolio = portfolios().get(app.caller, portfolio_id)
    if as_of is None or as_of >= utc_now().date():
        return json_response(holding_views.profit_view(holdings_reader().read_profit(portfolio), portfolio.currency))
    profit = holdings_reader().read_profit_on(portfolio, as_of)
    return json_response(holding_views.profit_view(profit, portfolio.currency))


@app.get(
    "/portfolio-summary",
    **holding_route("Read holdings in the format of the earlier API", READ, holding_views.SummaryView),
)
def read_summary(
    portfolio_id: Annotated[Identifier, Query(description="The portfolio.")],
    user_id: Annotated[Identifier, Query(description="The owner of the portfolio.")],
) -> Response[Any]:
    """Read the current holdings in the format of the earlier API."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    if portfolio.user_id != user_id:
        raise not_found("portfolio")
    return json_response(holding_views.summary_view(holdings_reader().read_holdings(portfolio), portfolio.currency))

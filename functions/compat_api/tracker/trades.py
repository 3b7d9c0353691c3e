"""Routes for trades."""

from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response

from functions.compat_api.tracker.app import (
    FIRST_PAGE,
    USUAL_SIZE,
    OfPortfolio,
    OfUser,
    PageNumber,
    PageSize,
    RefId,
    Ticker,
    app,
    page_request,
    searched_portfolios,
    settings,
    trade_service,
)
from trimtab.compat import tracker
from trimtab.compat.api import number_response
from trimtab.compat.lists import MAX_LISTED, PAGE_SIZE, read_list
from trimtab.kernel.errors import Conflict, NotFound, Unprocessable, not_found
from trimtab.portfolios.ledger.recalculation import Recalculation
from trimtab.portfolios.ledger.store import TradeFilter
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.idempotency import bind_key
from trimtab.runtime.http.parameters import IdempotencyKey

READ, WRITE = "trades:read", "trades:write"
compat_route = partial(route, tag="Compatibility")


@app.post("/api/v1/trade", **compat_route("Record a trade", WRITE, status=HTTPStatus.CREATED))
def create_trade(body: tracker.CreateTrade, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Record a trade and update the holding. Idempotent by `ref_id`: a repeat gets the first response."""
    app.caller.require_acting_for(body.user_id)
    (portfolio,) = searched_portfolios(body.portfolio, body.user_id)
    bind_key(app, idempotency_key, settings().portfolios_table)
    recorded = trade_service().record_trade(app.caller, portfolio.portfolio_id, body.to_domain())
    return _trade_response(recorded, HTTPStatus.CREATED)


@app.get("/api/v1/trade", **compat_route("List trades", READ))
def list_trades(
    *,
    user_id: OfUser = None,
    portfolio: OfPortfolio = None,
    ticker: Ticker = None,
    page: PageNumber = FIRST_PAGE,
    page_size: PageSize = USUAL_SIZE,
) -> Response[Any]:
    """List the trades of a portfolio, of a user or of the tenant, newest first; 422 above 1,000 trades."""
    found: list[Trade] = []
    for each in searched_portfolios(portfolio, user_id):
        found += _trades_of(each, TradeFilter(ticker), len(found))
    found.sort(key=lambda trade: (trade.created_at, trade.portfolio_id, trade.ref_id), reverse=True)
    request = page_request(page, page_size, user_id=user_id, portfolio=portfolio, ticker=ticker)
    return number_response(request.answer([tracker.trade_answer(trade) for trade in found]))


@app.get("/api/v1/trade/<ref_id>", **compat_route("Read a trade", READ))
def read_trade(ref_id: RefId, user_id: OfUser = None, portfolio: OfPortfolio = None) -> Response[Any]:
    """Read a trade."""
    return number_response(tracker.trade_answer(_find_trade(ref_id, portfolio, user_id)))


@app.patch("/api/v1/trade/<ref_id>", **compat_route("Correct a trade", WRITE))
@app.put("/api/v1/trade/<ref_id>", **compat_route("Correct a trade", WRITE))
def change_trade(ref_id: RefId, body: tracker.ChangeTrade, portfolio: OfPortfolio = None) -> Response[Any]:
    """Correct a trade; the holding is recomputed from all trades of the symbol."""
    trade = _find_trade(ref_id, body.portfolio or portfolio, body.user_id)
    changes = body.changes(trade)
    return _trade_response(trade_service().correct_trade(app.caller, trade.portfolio_id, ref_id, changes))


def _trade_response(recorded: Trade | Recalculation, status: HTTPStatus = HTTPStatus.OK) -> Response[Any]:
    """Return a recorded trade, or with 202 the trade that a worker will record."""
    if isinstance(recorded, Recalculation):
        return number_response(tracker.trade_answer(recorded.trade), HTTPStatus.ACCEPTED)
    return number_response(tracker.trade_answer(recorded), status)


def _find_trade(ref_id: str, portfolio_id: str | None, user_id: str | None) -> Trade:
    """Return the trade with this id in the named portfolio, or in the only portfolio that has such a trade."""
    found: list[Trade] = []
    for portfolio in searched_portfolios(portfolio_id, user_id):
        with suppress(NotFound):
            found.append(trade_service().get_trade(portfolio, ref_id))
    if not found:
        raise not_found("trade")
    if len(found) > 1:
        raise Conflict("several_trades", "Several portfolios have a trade with this ref_id. Name the `portfolio`.")
    return found[0]


def _trades_of(portfolio: Portfolio, wanted: TradeFilter, listed: int) -> list[Trade]:
    """Return the trades of a portfolio; raises `Unprocessable` where these and the `listed` ones are too many."""
    found = read_list(lambda after: trade_service().list_trades(portfolio, wanted, limit=PAGE_SIZE, after=after))
    if not found.is_whole or len(found.items) + listed > MAX_LISTED:
        raise Unprocessable(
            "too_many_items",
            f"The list has more than {MAX_LISTED} trades. Name a `portfolio` and a `ticker`, or read the list of"
            " `GET /portfolios/{portfolio_id}/trades`, which has cursors.",
        )
    return found.items

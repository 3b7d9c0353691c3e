"""Routes of portfolios and rebalances."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.portfolios_api.app import (
    Attention,
    IncludeClosed,
    OfStatus,
    UserId,
    app,
    holdings_reader,
    ledger,
    portfolios,
    rebalances,
    settings,
    trade_service,
)
from trimtab.contracts.fields import Identifier
from trimtab.portfolios.ledger import value_views
from trimtab.portfolios.ledger.opening_positions import open_positions
from trimtab.portfolios.portfolio import views as schemas
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.service import PortfolioFilter
from trimtab.portfolios.rebalancing import views as rebalance_views
from trimtab.portfolios.rebalancing.timeline import posted_orders
from trimtab.portfolios.rebalancing.timeline_views import TimelineView, timeline_view
from trimtab.runtime.http.cursors import decode_cursor
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.idempotency import bind_key
from trimtab.runtime.http.parameters import (
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    PortfolioId,
    RebalanceId,
    one_request_id,
    require_revision,
)
from trimtab.runtime.http.responses import json_response, no_content, page_response, relative_location, with_links

READ, WRITE = "portfolios:read", "portfolios:write"
portfolio_route = partial(route, tag="Portfolios")
rebalance_route = partial(route, tag="Rebalances")
creates_portfolio = portfolio_route("Store a target allocation", WRITE, schemas.StoredPortfolioView, HTTPStatus.CREATED)


@app.post("/portfolio", **creates_portfolio)
@app.post("/portfolios", **creates_portfolio)
def create_portfolio(body: schemas.CreatePortfolio, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Create a portfolio; the name is unique for each user. A repeated request returns the current portfolio.

    `investments` are recorded as transfers of units in the same transaction. They do not change cash.
    """
    wanted = body.to_domain()
    bind_key(app, idempotency_key, settings().portfolios_table)
    portfolio = portfolios().create(
        app.caller, wanted, lambda opened: open_positions(ledger(), opened, wanted.investments)
    )
    headers = {**_etag(portfolio), "Location": relative_location(app, f"portfolios/{portfolio.portfolio_id}")}
    view = {**schemas.portfolio_view(portfolio), **schemas.normalised_view(body.allocation)}
    return json_response(view, HTTPStatus.CREATED, headers)


@app.get("/portfolios", **portfolio_route("List portfolios", READ, schemas.PortfolioList))
def list_portfolios(
    *,
    user_id: UserId = None,
    status: OfStatus = None,
    attention: Attention = False,
    include_closed: IncludeClosed = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Any]:
    """List the portfolios of a user, newest first; without `user_id`, the caller's own or the tenant's.

    Closed portfolios are left out unless `include_closed=true` or `status=CLOSED` asks for them.

    `attention=true` lists the portfolios that need a person, each with the reasons and what to do: stale portfolios,
    portfolios with a quarantined symbol, and portfolios whose rebalances are stuck or rolled back repeatedly.
    """
    wanted = PortfolioFilter(user_id, status, attention, include_closed)
    query = (app.caller.tenant_id, "portfolios", user_id or app.caller.user_id or "", *_filter_parts(wanted))
    after = decode_cursor(cursor, *query)
    page = portfolios().list_portfolios(app.caller, wanted, limit=limit, after=after)
    return page_response([schemas.listed_portfolio_view(each) for each in page.items], page.next_position, *query)


def _filter_parts(wanted: PortfolioFilter) -> tuple[str, ...]:
    """Return what binds a cursor to the filter besides the user."""
    flags = {"attention": wanted.needs_attention, "closed": wanted.include_closed}
    return (wanted.status or "", *(name for name, is_set in flags.items() if is_set))


@app.get("/portfolios/<portfolio_id>", **portfolio_route("Read a portfolio", READ, value_views.ValuedPortfolioView))
def get_portfolio(portfolio_id: PortfolioId) -> Response[Any]:
    """Read a portfolio with its value at the newest quotes. The ETag is the revision."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    return json_response(
        value_views.valued_portfolio_view(portfolio, holdings_reader().read_value(portfolio)), headers=_etag(portfolio)
    )


@app.patch("/portfolios/<portfolio_id>", **portfolio_route("Change name and policy", WRITE, schemas.PortfolioView))
def change_portfolio(
    portfolio_id: PortfolioId, body: schemas.ChangePortfolio, if_match: IfMatch = None
) -> Response[Any]:
    """Change the name, or members of the policy: an omitted member keeps its value, null restores the default.

    The response is 409 `name_taken` where another portfolio of the user has or had the name.
    """
    check = _revision_check(if_match)
    return _portfolio(portfolios().change(app.caller, portfolio_id, body.name, body.policy.apply, check))


@app.put(
    "/portfolios/<portfolio_id>/allocation", **portfolio_route("Set a new target", WRITE, schemas.StoredPortfolioView)
)
def set_allocation(portfolio_id: PortfolioId, body: schemas.SetAllocation, if_match: IfMatch = None) -> Response[Any]:
    """Set a new target allocation."""
    check = _revision_check(if_match)
    portfolio = portfolios().set_allocation(app.caller, portfolio_id, dict(body.allocation), check)
    view = {**schemas.portfolio_view(portfolio), **schemas.normalised_view(body.allocation)}
    return json_response(view, headers=_etag(portfolio))


@app.put(
    "/portfolios/<portfolio_id>/cash-tracking",
    **portfolio_route("Set the trades that change cash", WRITE, schemas.PortfolioView),
)
def set_cash_tracking(
    portfolio_id: PortfolioId, body: schemas.SetCashTracking, if_match: IfMatch = None
) -> Response[Any]:
    """Set which recorded trades change cash. The balance is computed anew from all entries.

    The response is 422 `insufficient_cash` if cash would have been below zero at any instant, unless the portfolio
    allows that (`margin`), and 422 `cash_is_tracked` for `off` where cash entries are recorded.
    """
    return _portfolio(
        trade_service().set_cash_tracking(app.caller, portfolio_id, body.cash_tracking, _revision_check(if_match))
    )


@app.delete(
    "/portfolios/<portfolio_id>",
    **portfolio_route("Close a portfolio", WRITE, status=HTTPStatus.NO_CONTENT),
)
def close_portfolio(portfolio_id: PortfolioId, if_match: IfMatch = None) -> Response[Any]:
    """Close a portfolio. A closed portfolio can be read but not changed; creating the portfolio again reopens it."""
    portfolios().close(app.caller, portfolio_id, _revision_check(if_match))
    return no_content()


@app.post(
    "/rebalance",
    **rebalance_route("Report a drifted allocation", WRITE, rebalance_views.AcceptedView, HTTPStatus.ACCEPTED),
)
def request_rebalance(body: rebalance_views.RequestRebalance, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Report the weights of a drifted portfolio. A worker computes the transactions that restore the target."""
    request_id = one_request_id(idempotency_key, body.request_id)
    report = body.to_domain(request_id or app.request_id)
    accepted = rebalances().accept(app.caller, report)
    view = with_links(app, rebalance_views.accepted_view(accepted, retry_safe=request_id is not None))
    view |= schemas.normalised_view(body.new_allocation)
    headers = {"Location": view["links"]["self"], "Retry-After": "1"}
    return json_response(view, HTTPStatus.ACCEPTED, headers)


@app.post(
    "/portfolios/<portfolio_id>/rebalances/preview",
    **rebalance_route("Preview a rebalance", READ, rebalance_views.PreviewView),
)
def preview_rebalance(portfolio_id: PortfolioId, body: rebalance_views.PreviewRebalance) -> Response[Any]:
    """Preview the decision that the worker would make for these weights, without storing the decision."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    outcome = rebalances().preview(portfolio, dict(body.new_allocation), body.as_of)
    return json_response({**rebalance_views.preview_view(outcome), **schemas.normalised_view(body.new_allocation)})


@app.get(
    "/portfolios/<portfolio_id>/rebalances",
    **rebalance_route("List rebalances", READ, rebalance_views.RebalanceList),
)
def list_rebalances(portfolio_id: PortfolioId, limit: Limit = 50, cursor: Cursor = None) -> Response[Any]:
    """List a portfolio's rebalances, newest first."""
    query = (app.caller.tenant_id, "rebalances", portfolio_id)
    after = decode_cursor(cursor, *query)
    page = rebalances().list_rebalances(portfolios().get(app.caller, portfolio_id), limit=limit, after=after)
    return page_response(
        [rebalance_views.rebalance_view(rebalance) for rebalance in page.items], page.next_position, *query
    )


@app.get(
    "/portfolios/<portfolio_id>/rebalances/<rebalance_id>",
    **rebalance_route("Read a rebalance", READ, rebalance_views.RebalanceView),
)
def get_rebalance(portfolio_id: PortfolioId, rebalance_id: RebalanceId) -> Response[Any]:
    """Read a rebalance: status, transactions and reason."""
    rebalance = rebalances().get(portfolios().get(app.caller, portfolio_id), rebalance_id)
    return json_response(rebalance_views.rebalance_view(rebalance))


@app.get(
    "/portfolios/<portfolio_id>/rebalances/<rebalance_id>/timeline",
    **rebalance_route("Read the timeline of a rebalance", READ, TimelineView),
)
def read_timeline(portfolio_id: PortfolioId, rebalance_id: RebalanceId) -> Response[Any]:
    """Read the story of a rebalance: quote, check, plan, each order, each posting and each event, with times."""
    rebalance = rebalances().get(portfolios().get(app.caller, portfolio_id), rebalance_id)
    fills = ledger().some_fills(rebalance.tenant_id, portfolio_id, posted_orders(rebalance))
    view = timeline_view(rebalance, fills)
    entries = [with_links(app, entry) for entry in view["entries"]]
    return json_response(with_links(app, {**view, "entries": entries}))


@app.get(
    "/portfolios/<portfolio_id>/transactions",
    **rebalance_route("List transactions", READ, rebalance_views.TransactionList),
)
def list_transactions(portfolio_id: PortfolioId, limit: Limit = 50, cursor: Cursor = None) -> Response[Any]:
    """List the transactions of a portfolio's rebalances, newest rebalance first."""
    query = (app.caller.tenant_id, "transactions", portfolio_id)
    after = decode_cursor(cursor, *query)
    page = rebalances().list_transactions(portfolios().get(app.caller, portfolio_id), limit=limit, after=after)
    return page_response([rebalance_views.transaction_view(*each) for each in page.items], page.next_position, *query)


@app.get(
    "/transactions",
    **rebalance_route("List a user's transactions", READ, rebalance_views.UserTransactionList),
)
def list_user_transactions(
    user_id: Annotated[Identifier, Query(description="The owner of the portfolios.")],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[Any]:
    """List the transactions of a user over all portfolios, closed ones included, newest rebalance first.

    The token of an end user lists the user's own. The response is 422 `too_many_portfolios` for a user with more than
    100 portfolios: list the transactions of each portfolio then.
    """
    query = (app.caller.tenant_id, "user_transactions", user_id)
    after = decode_cursor(cursor, *query)
    page = rebalances().list_user_transactions(app.caller, user_id, limit=limit, after=after)
    items = [rebalance_views.user_transaction_view(*each) for each in page.items]
    return page_response(items, page.next_position, *query)


def _portfolio(portfolio: Portfolio) -> Response[Any]:
    return json_response(schemas.portfolio_view(portfolio), headers=_etag(portfolio))


def _etag(portfolio: Portfolio) -> dict[str, str]:
    return {"ETag": f'"{portfolio.revision}"'}


def _revision_check(if_match: str | None) -> Any:
    return lambda portfolio: require_revision(if_match, portfolio.revision)

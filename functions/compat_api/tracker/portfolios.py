"""Routes for portfolios, their holdings and their returns."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.compat_api.tracker.app import (
    FIRST_PAGE,
    USUAL_SIZE,
    OfUser,
    PageNumber,
    PageSize,
    PortfolioId,
    Ticker,
    app,
    holdings_reader,
    page_request,
    portfolios,
    searched_portfolios,
    settings,
    visible_portfolios,
)
from trimtab.compat import tracker
from trimtab.compat.api import number_response
from trimtab.contracts.fields import Identifier, Name
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.idempotency import bind_key
from trimtab.runtime.http.parameters import IdempotencyKey

READ, WRITE, READ_TRADES = "portfolios:read", "portfolios:write", "trades:read"
compat_route = partial(route, tag="Compatibility")

OfName = Annotated[Name | None, Query(alias="name", description="Only portfolios of this name.")]
OfPortfolioId = Annotated[
    Identifier | None, Query(alias="portfolio_id", description="Only the holdings of this portfolio.")
]


@app.post("/api/v1/portfolio", **compat_route("Create a portfolio", WRITE, status=HTTPStatus.CREATED))
def create_portfolio(body: tracker.CreateTrackedPortfolio, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Create a portfolio; a repeated request gets the stored portfolio."""
    bind_key(app, idempotency_key, settings().portfolios_table)
    portfolio = portfolios().create(app.caller, body.to_domain())
    return number_response(tracker.portfolio_answer(portfolio), HTTPStatus.CREATED)


@app.get("/api/v1/portfolio", **compat_route("List portfolios", READ))
def list_portfolios(
    *, user_id: OfUser = None, name: OfName = None, page: PageNumber = FIRST_PAGE, page_size: PageSize = USUAL_SIZE
) -> Response[Any]:
    """List the portfolios that are not closed, newest first."""
    found = visible_portfolios(user_id, include_closed=False)
    answers = [tracker.portfolio_answer(each) for each in found if name in {None, each.name}]
    return number_response(page_request(page, page_size, user_id=user_id, name=name).answer(answers))


@app.get("/api/v1/portfolio/<portfolio_id>", **compat_route("Read a portfolio", READ))
def read_portfolio(portfolio_id: PortfolioId) -> Response[Any]:
    """Read a portfolio."""
    return number_response(tracker.portfolio_answer(portfolios().get(app.caller, portfolio_id)))


@app.patch("/api/v1/portfolio/<portfolio_id>", **compat_route("Rename a portfolio", WRITE))
@app.put("/api/v1/portfolio/<portfolio_id>", **compat_route("Rename a portfolio", WRITE))
def rename_portfolio(portfolio_id: PortfolioId, body: tracker.RenamePortfolio) -> Response[Any]:
    """Rename a portfolio."""
    renamed = portfolios().change(app.caller, portfolio_id, body.name, lambda policy: policy, lambda _: None)
    return number_response(tracker.portfolio_answer(renamed))


@app.post("/api/v1/portfolio/<portfolio_id>/recalculate-summary", **compat_route("Recalculate the holdings", READ))
def recalculate_summary(portfolio_id: PortfolioId) -> Response[Any]:
    """Read a portfolio: the holdings agree with the trades at any time, and nothing needs a recalculation."""
    return read_portfolio(portfolio_id)


@app.get("/api/v1/portfolio/<portfolio_id>/cumulative-returns", **compat_route("Read the returns", READ_TRADES))
def read_returns(portfolio_id: PortfolioId) -> Response[Any]:
    """Read the unrealised profit of the holdings at the newest prices."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    return number_response(tracker.returns_answer(holdings_reader().read_holdings(portfolio)))


@app.get("/api/v1/portfolio-summary", **compat_route("List holdings", READ_TRADES))
def list_holdings(
    *,
    user_id: OfUser = None,
    portfolio_id: OfPortfolioId = None,
    ticker: Ticker = None,
    page: PageNumber = FIRST_PAGE,
    page_size: PageSize = USUAL_SIZE,
) -> Response[Any]:
    """List the holdings of a portfolio, of a user or of the tenant, by portfolio and symbol."""
    found = [
        row
        for portfolio in searched_portfolios(portfolio_id, user_id)
        for row in tracker.summary_rows(holdings_reader().read_holdings(portfolio))
        if ticker in {None, row["ticker"]}
    ]
    filters = {"user_id": user_id, "portfolio_id": portfolio_id, "ticker": ticker}
    return number_response(page_request(page, page_size, **filters).answer(found))

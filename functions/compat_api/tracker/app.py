"""Settings, services, lists and parameters of the routes of the earlier portfolio tracker."""

from functools import lru_cache
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from trimtab.compat import tracker
from trimtab.compat.api import CompatApi
from trimtab.compat.lists import MAX_LISTED, PAGE_SIZE, read_list
from trimtab.compat.numbered_pages import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, PageRequest
from trimtab.contracts.fields import Asset, Identifier, WholeParameter
from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import Unprocessable, not_found
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.ledger.service import TradeService
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.service import PortfolioFilter, PortfolioService
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.portfolio.worker_queues import QueueSettings, WorkerQueues
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.sqs.sender import sqs_client

MAX_SEARCHED_PORTFOLIOS = 100
"""Portfolios whose trades are read for a request that names no portfolio."""


class TrackerSettings(QueueSettings):
    """Environment variables of this function; `public_url` is the address of the API in links."""

    portfolios_table: str
    market_table: str
    public_url: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> TrackerSettings:
    """Return the settings, read on first use."""
    return TrackerSettings.load()


@lru_cache(maxsize=1)
def portfolios() -> PortfolioService:
    """Return the portfolio service, created once for each execution environment."""
    return PortfolioService(PortfolioStore(dynamodb_client(), settings().portfolios_table), utc_now)


def _ledger() -> LedgerStore:
    return LedgerStore(dynamodb_client(), settings().portfolios_table, settings().market_table)


@lru_cache(maxsize=1)
def trade_service() -> TradeService:
    """Return the service of trades."""
    return TradeService(_ledger(), WorkerQueues(sqs_client(), settings()), utc_now)


@lru_cache(maxsize=1)
def holdings_reader() -> HoldingsReader:
    """Return the reader of holdings."""
    return HoldingsReader(_ledger(), utc_now)


app = CompatApi(auth=lambda: settings().auth, error_form=tracker.error_form)

PortfolioId = Annotated[Identifier, Path(description="The `id` of a portfolio.")]
RefId = Annotated[Identifier, Path(description="The `ref_id` of a trade.")]
OfUser = Annotated[Identifier | None, Query(alias="user_id", description="Only what belongs to this user.")]
OfPortfolio = Annotated[Identifier | None, Query(alias="portfolio", description="Only trades of this portfolio.")]
Ticker = Annotated[Asset | None, Query(description="Only this symbol.")]
PageNumber = Annotated[WholeParameter, Query(alias="page", ge=1, description="The number of the page, from 1.")]
PageSize = Annotated[
    WholeParameter, Query(alias="page_size", ge=1, le=MAX_PAGE_SIZE, description="The number of results on a page.")
]
FIRST_PAGE, USUAL_SIZE = 1, DEFAULT_PAGE_SIZE


def page_request(number: int, size: int, **filters: str | None) -> PageRequest:
    """Return the page that the current request asks for."""
    url = settings().public_url.rstrip("/") + str(app.current_event.raw_event["resource"])
    return PageRequest(number, size, url, filters)


def visible_portfolios(user_id: str | None, *, include_closed: bool) -> list[Portfolio]:
    """Return the portfolios of a user, of the token's user, or of the tenant; raises `Unprocessable` above 1,000."""
    wanted = PortfolioFilter(user_id, include_closed=include_closed)
    found = read_list(lambda after: portfolios().list_portfolios(app.caller, wanted, limit=PAGE_SIZE, after=after))
    if not found.is_whole:
        raise Unprocessable("too_many_items", f"The list has more than {MAX_LISTED} portfolios. Name a `user_id`.")
    return [listed.portfolio for listed in found.items]


def searched_portfolios(portfolio_id: str | None, user_id: str | None) -> list[Portfolio]:
    """Return the portfolio that a request names, else all that the caller may see, closed ones included.

    Raises `NotFound` where the named portfolio belongs to another user, `Unprocessable` above 100 portfolios.
    """
    if portfolio_id is not None:
        portfolio = portfolios().get(app.caller, portfolio_id)
        if user_id not in {None, portfolio.user_id}:
            raise not_found("portfolio")
        return [portfolio]
    found = visible_portfolios(user_id, include_closed=True)
    if len(found) > MAX_SEARCHED_PORTFOLIOS:
        raise Unprocessable(
            "too_many_items", f"There are more than {MAX_SEARCHED_PORTFOLIOS} portfolios. Name the portfolio."
        )
    return found

"""Routes of the earlier rebalancer, served by the services of portfolios and rebalances.

The routes lie below `/compat`, because Trimtab has a `/portfolio` and a `/rebalance` of its own.
"""

from functools import lru_cache, partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from trimtab.compat import rebalancer
from trimtab.compat.api import CompatApi, error_text, number_response
from trimtab.compat.lists import PAGE_SIZE, read_list
from trimtab.contracts.fields import Identifier
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.portfolio.model import Portfolio, portfolio_id_of
from trimtab.portfolios.portfolio.service import PortfolioService
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.portfolio.worker_queues import QueueSettings, WorkerQueues
from trimtab.portfolios.rebalancing.service import RebalanceService
from trimtab.portfolios.rebalancing.store import RebalanceStore
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.idempotency import bind_key
from trimtab.runtime.http.parameters import IdempotencyKey
from trimtab.runtime.sqs.sender import sqs_client


class RebalancerSettings(QueueSettings):
    """Environment variables of this function."""

    portfolios_table: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> RebalancerSettings:
    """Return the settings, read on first use."""
    return RebalancerSettings.load()


@lru_cache(maxsize=1)
def portfolios() -> PortfolioService:
    """Return the portfolio service, created once for each execution environment."""
    return PortfolioService(PortfolioStore(dynamodb_client(), settings().portfolios_table), utc_now)


@lru_cache(maxsize=1)
def rebalances() -> RebalanceService:
    """Return the rebalance service, created once for each execution environment."""
    store = RebalanceStore(dynamodb_client(), settings().portfolios_table)
    return RebalanceService(store, WorkerQueues(sqs_client(), settings()), utc_now)


app = CompatApi(auth=lambda: settings().auth, error_form=error_text)
READ, WRITE = "portfolios:read", "portfolios:write"
compat_route = partial(route, tag="Compatibility")
UserId = Annotated[Identifier, Query(alias="userId", description="The owner of the portfolio.")]


@app.post("/compat/portfolio", **compat_route("Store a target allocation", WRITE, status=HTTPStatus.CREATED))
def add_portfolio(body: rebalancer.AddPortfolio, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Store the target allocation of a user; a repeated request gets the stored portfolio."""
    bind_key(app, idempotency_key, settings().portfolios_table)
    portfolio = portfolios().create(app.caller, body.to_domain())
    return number_response(rebalancer.portfolio_answer(portfolio), HTTPStatus.CREATED)


@app.get("/compat/portfolio", **compat_route("Read a target allocation", READ))
def read_portfolio(user_id: UserId) -> Response[Any]:
    """Read the target allocation of a user."""
    return number_response(rebalancer.portfolio_answer(_portfolio_of(user_id)))


@app.post("/compat/rebalance", **compat_route("Report a drifted allocation", WRITE))
def report_weights(body: rebalancer.ReportWeights, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Report the weights of a drifted portfolio; a worker computes the transactions after the response."""
    rebalances().accept(app.caller, body.to_domain(idempotency_key or app.request_id))
    return number_response(rebalancer.REPORTED)


@app.get("/compat/rebalance/list", **compat_route("List transactions", READ))
def list_transactions(user_id: UserId) -> Response[Any]:
    """List the newest transactions of a user, 1,000 at most."""
    portfolio = _portfolio_of(user_id)
    found = read_list(lambda after: rebalances().list_transactions(portfolio, limit=PAGE_SIZE, after=after))
    return number_response([rebalancer.transaction_answer(*each) for each in found.items])


def _portfolio_of(user_id: str) -> Portfolio:
    return portfolios().get(app.caller, portfolio_id_of(app.caller.tenant_id, user_id, rebalancer.NAME))

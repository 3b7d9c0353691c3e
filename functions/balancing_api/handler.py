"""The routes by which persons steer the balancing: runs, cancels, resolutions, halts, and what checks have found."""

from functools import lru_cache, partial
from http import HTTPStatus
from typing import Annotated, Any
from uuid import uuid4

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import Unavailable, not_found
from trimtab.portfolios.balancing import views as schemas
from trimtab.portfolios.balancing.check_store import CheckStore
from trimtab.portfolios.balancing.operator_actions import Control
from trimtab.portfolios.execution.broker import Broker, OutcomeUnknown
from trimtab.portfolios.execution.brokers import BrokerSettings, broker_from
from trimtab.portfolios.execution.halts import Halt, HaltStore
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio import views
from trimtab.portfolios.portfolio.service import Portfolios
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.portfolio.worker_queues import QueueSettings, WorkerQueues
from trimtab.portfolios.rebalancing import views as rebalance_views
from trimtab.portfolios.rebalancing.store import RebalanceStore
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.app import Api, lambda_handler
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.parameters import IdempotencyKey, PortfolioId, RebalanceId, one_request_id
from trimtab.runtime.http.responses import json_response, no_content, relative_location
from trimtab.runtime.sqs.sender import sqs_client


class BalancingSettings(QueueSettings, BrokerSettings):
    """What this function is told by its environment."""

    portfolios_table: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> BalancingSettings:
    """The settings, read on first use."""
    return BalancingSettings.load()


@lru_cache(maxsize=1)
def control() -> Control:
    """The control, wired to DynamoDB and SQS."""
    table, market = settings().portfolios_table, settings().market_table
    store, ledger = RebalanceStore(dynamodb_client(), table), LedgerStore(dynamodb_client(), table, market)
    return Control(store, ledger, WorkerQueues(sqs_client(), settings()), utc_now)


@lru_cache(maxsize=1)
def portfolios() -> Portfolios:
    """The portfolios, wired to DynamoDB."""
    return Portfolios(PortfolioStore(dynamodb_client(), settings().portfolios_table), utc_now)


def halts() -> HaltStore:
    """The halt switches."""
    return HaltStore(dynamodb_client(), settings().portfolios_table)


@lru_cache(maxsize=1)
def broker() -> Broker:
    """The broker."""
    return broker_from(settings(), dynamodb_client(), utc_now)


app = Api(auth=lambda: settings().auth)

READ, WRITE, OPERATOR = "portfolios:read", "portfolios:write", "operator"
PLATFORM = "market:write"
rebalance_route = partial(route, tag="Rebalances")
operator_route = partial(route, scope=OPERATOR, tag="Operators")


@app.post(
    "/portfolios/<portfolio_id>/rebalances",
    **rebalance_route("Run a rebalance", WRITE, rebalance_views.AcceptedView, HTTPStatus.ACCEPTED),
)
def run_rebalance(
    portfolio_id: PortfolioId, body: schemas.RunRebalance, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Ask for a rebalance of what the portfolio holds, at the quotes of now, inside its band or not."""
    given = one_request_id(idempotency_key, body.request_id)
    asked = control().request(app.caller, portfolio_id, body.mode, given or str(uuid4()))
    view = rebalance_views.accepted_view(asked, retry_safe=given is not None)
    headers = {"Location": relative_location(app, view["links"]["self"]), "Retry-After": "1"}
    return json_response(view, HTTPStatus.ACCEPTED, headers)


@app.post(
    "/portfolios/<portfolio_id>/rebalances/<rebalance_id>/cancel",
    **rebalance_route("Cancel a rebalance", WRITE, rebalance_views.RebalanceView),
)
def cancel_rebalance(portfolio_id: PortfolioId, rebalance_id: RebalanceId) -> Response[Any]:
    """Cancel a rebalance: at once where nothing was sent; else its later orders are not sent, and what was filled is
    reversed or kept, as the policy says."""
    return json_response(rebalance_views.rebalance_view(control().cancel(app.caller, portfolio_id, rebalance_id)))


@app.get("/portfolios/<portfolio_id>/checks/last", **rebalance_route("Read the last check", READ, schemas.CheckView))
def read_last_check(portfolio_id: PortfolioId) -> Response[Any]:
    """Read why the newest price check that decided nothing did so."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    checks = CheckStore(dynamodb_client(), settings().portfolios_table)
    note = checks.last_check(portfolio.tenant_id, portfolio.portfolio_id)
    if note is None:
        raise not_found("price check")
    return json_response(schemas.check_view(note))


@app.post(
    "/portfolios/<portfolio_id>/resolve", **operator_route("Resolve a stale portfolio", answers=views.PortfolioView)
)
def resolve_portfolio(portfolio_id: PortfolioId, body: schemas.Resolve) -> Response[Any]:
    """Say what a stale portfolio holds: it is active again, and its rebalance keeps who said so and why."""
    return json_response(views.portfolio_view(control().resolve(app.caller, portfolio_id, body.to_domain())))


@app.get("/portfolios/<portfolio_id>/broker", **operator_route("Read the broker's view", answers=schemas.AccountView))
def read_broker(portfolio_id: PortfolioId) -> Response[Any]:
    """Read cash and positions as the broker has them: what to compare a stale portfolio with."""
    account = portfolios().get(app.caller, portfolio_id).portfolio_id
    try:
        return json_response(schemas.account_view(broker().account(account), dict(broker().positions(account))))
    except OutcomeUnknown:
        raise Unavailable("broker_silent", "The broker does not answer; try again.", retry_after_seconds=5) from None


@app.get("/halt", **operator_route("Read the halt switches", answers=schemas.HaltList))
def read_halts() -> Response[Any]:
    """Read which halt switches are on for the tenant."""
    return json_response(schemas.halts_view(halts().standing(app.caller.tenant_id)))


@app.put("/halt", **operator_route("Halt all orders", answers=schemas.HaltList))
def put_halt(body: schemas.SwitchHalt) -> Response[Any]:
    """Send no more orders: the tenant's, or everybody's (`everything` needs the platform scope `market:write`)."""
    halts().halt(Halt(_reach(body.reach), body.reason, app.caller.subject, utc_now()))
    return read_halts()


@app.delete("/halt", **operator_route("Lift a halt", status=HTTPStatus.NO_CONTENT))
def delete_halt(reach: Annotated[schemas.Reach, Query(description="Which switch.")] = "tenant") -> Response[Any]:
    """Let orders go out again."""
    halts().lift(_reach(reach))
    return no_content()


def _reach(reach: schemas.Reach) -> str | None:
    """The tenant that is meant, None for everybody: that is for the platform to say."""
    if reach == "everything":
        app.caller.require(PLATFORM)
        return None
    return app.caller.tenant_id


handler = lambda_handler(app)

"""Routes for requested rebalances, cancellations, resolutions, halts and the results of price checks."""

from functools import lru_cache, partial
from http import HTTPStatus
from typing import Annotated, Any
from uuid import uuid4

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from trimtab.contracts.fields import Asset
from trimtab.kernel.caller import ALL_TENANTS_SCOPE
from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import Unavailable, not_found
from trimtab.portfolios.balancing import views as schemas
from trimtab.portfolios.balancing.check_decision import find_refusal
from trimtab.portfolios.balancing.check_store import CheckStore
from trimtab.portfolios.balancing.decision_reader import DecisionReader
from trimtab.portfolios.balancing.dry_run import DryRun
from trimtab.portfolios.balancing.dry_run_views import (
    DryRunView,
    TriggersView,
    dry_run_view,
    triggers_view,
    unwatched_view,
)
from trimtab.portfolios.balancing.operator_actions import OperatorActions, error_of
from trimtab.portfolios.balancing.withdrawals import WithdrawalService
from trimtab.portfolios.execution.broker import Broker, OutcomeUnknown
from trimtab.portfolios.execution.brokers import BrokerSettings, broker_from
from trimtab.portfolios.execution.halts import Halt, HaltStore
from trimtab.portfolios.execution.wiring import RebalanceStores, StoreSettings, rebalance_stores
from trimtab.portfolios.ledger.holdings_reader import HoldingsReader
from trimtab.portfolios.portfolio import views
from trimtab.portfolios.portfolio.policy import Mode
from trimtab.portfolios.portfolio.service import PortfolioService
from trimtab.portfolios.rebalancing import views as rebalance_views
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.app import Api, lambda_handler
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.parameters import IdempotencyKey, PortfolioId, RebalanceId, one_request_id
from trimtab.runtime.http.responses import json_response, no_content, with_links


class BalancingSettings(StoreSettings, BrokerSettings):
    """Environment of the function."""

    auth: str


@lru_cache(maxsize=1)
def settings() -> BalancingSettings:
    """Return the settings, read on first use."""
    return BalancingSettings.load()


@lru_cache(maxsize=1)
def stores() -> RebalanceStores:
    """Return the stores and queues, wired to DynamoDB and SQS."""
    return rebalance_stores(settings())


@lru_cache(maxsize=1)
def operator_actions() -> OperatorActions:
    """Return the actions of persons."""
    return OperatorActions(stores().rebalances, stores().ledger, stores().queues, utc_now)


@lru_cache(maxsize=1)
def portfolios() -> PortfolioService:
    """Return the service of portfolios."""
    return PortfolioService(stores().rebalances, utc_now)


@lru_cache(maxsize=1)
def decision_reader() -> DecisionReader:
    """Return the reader of decisions."""
    holdings = HoldingsReader(stores().ledger, utc_now)
    return DecisionReader(holdings, stores().halts, settings().terms, utc_now, stores().controls)


@lru_cache(maxsize=1)
def withdrawals() -> WithdrawalService:
    """Return the service of withdrawals."""
    return WithdrawalService(stores().rebalances, decision_reader(), stores().queues, utc_now)


def halt_store() -> HaltStore:
    """Return the store of halt switches."""
    return stores().halts


@lru_cache(maxsize=1)
def broker() -> Broker:
    """Return the configured broker."""
    return broker_from(settings(), dynamodb_client(), utc_now)


app = Api(auth=lambda: settings().auth)

READ, WRITE, TRADES, OPERATOR = "portfolios:read", "portfolios:write", "trades:write", "operator"
rebalance_route = partial(route, tag="Rebalances")
operator_route = partial(route, scope=OPERATOR, tag="Operators")


@app.post(
    "/portfolios/<portfolio_id>/rebalances",
    **rebalance_route("Run a rebalance", WRITE, DryRunView, accepted=rebalance_views.AcceptedView),
)
def run_rebalance(
    portfolio_id: PortfolioId, body: schemas.RunRebalance, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Request a rebalance of the holdings at the present quotes, whether or not a weight is outside its band.

    With `dry_run`, answer the rebalance that would be executed now; nothing is stored.
    """
    if body.dry_run:
        return json_response(dry_run_view(_dry_run(portfolio_id, body.mode)))
    given = one_request_id(idempotency_key, body.request_id)
    asked = operator_actions().request_rebalance(app.caller, portfolio_id, body.mode, given or str(uuid4()))
    view = with_links(app, rebalance_views.accepted_view(asked, retry_safe=given is not None))
    headers = {"Location": view["links"]["self"], "Retry-After": "1"}
    return json_response(view, HTTPStatus.ACCEPTED, headers)


def _dry_run(portfolio_id: str, mode: Mode | None) -> DryRun:
    portfolio = portfolios().get(app.caller, portfolio_id)
    refusal = find_refusal(portfolio)
    if refusal is not None:
        raise error_of(refusal)
    portfolio.require_tradable(utc_now())
    return decision_reader().dry_run(portfolio, mode)


@app.get("/portfolios/<portfolio_id>/triggers", **rebalance_route("Read the price triggers", READ, TriggersView))
def read_triggers(portfolio_id: PortfolioId) -> Response[Any]:
    """Read the prices at which the portfolio would act: by symbol, the price at or below and at or above."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    if not portfolio.is_automatic:
        return json_response(unwatched_view(portfolio))
    return json_response(triggers_view(*decision_reader().decide(portfolio, None)))


@app.post(
    "/portfolios/<portfolio_id>/rebalances/<rebalance_id>/cancel",
    **rebalance_route("Cancel a rebalance", WRITE, rebalance_views.RebalanceView),
)
def cancel_rebalance(portfolio_id: PortfolioId, rebalance_id: RebalanceId) -> Response[Any]:
    """Cancel a rebalance: at once if no order was sent; otherwise no later wave is sent, and the policy decides whether
    fills are reversed or kept."""
    return json_response(
        rebalance_views.rebalance_view(operator_actions().cancel_rebalance(app.caller, portfolio_id, rebalance_id))
    )


@app.post(
    "/portfolios/<portfolio_id>/withdrawals",
    **rebalance_route("Withdraw cash", TRADES, rebalance_views.AcceptedView, HTTPStatus.ACCEPTED),
)
def withdraw_cash(
    portfolio_id: PortfolioId, body: schemas.Withdraw, idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Withdraw cash, and sell holdings first where the cash does not cover the amount, the overweight assets first.

    The withdrawal is paid when the sells are filled: poll `links.self`, whose `withdrawal` says whether it was paid.
    The response is 422 `insufficient_funds` where cash and sells do not cover the amount; nothing is sold then.
    """
    given = one_request_id(idempotency_key, body.request_id)
    asked = withdrawals().request(app.caller, portfolio_id, body.amount, given or str(uuid4()))
    view = with_links(app, rebalance_views.accepted_view(asked, retry_safe=given is not None))
    headers = {"Location": view["links"]["self"], "Retry-After": "1"}
    return json_response(view, HTTPStatus.ACCEPTED, headers)


@app.get("/portfolios/<portfolio_id>/checks/last", **rebalance_route("Read the last check", READ, schemas.CheckView))
def read_last_check(portfolio_id: PortfolioId) -> Response[Any]:
    """Read the newest price check without trades, and the reason."""
    portfolio = portfolios().get(app.caller, portfolio_id)
    checks = CheckStore(dynamodb_client(), settings().portfolios_table)
    note = checks.last_check(portfolio.tenant_id, portfolio.portfolio_id)
    if note is None:
        raise not_found("price check")
    return json_response(schemas.check_view(note))


@app.post(
    "/portfolios/<portfolio_id>/resolve", **operator_route("Resolve a stale portfolio", answers=views.PortfolioView)
)
def resolve_portfolio(portfolio_id: PortfolioId, body: schemas.ResolvePortfolio) -> Response[Any]:
    """Make a stale portfolio active again with its actual holdings and cash; the rebalance keeps an audit record."""
    return json_response(
        views.portfolio_view(operator_actions().resolve_portfolio(app.caller, portfolio_id, body.to_domain()))
    )


@app.delete(
    "/portfolios/<portfolio_id>/quarantine/<symbol>",
    **operator_route("Lift a quarantine", status=HTTPStatus.NO_CONTENT),
)
def lift_quarantine(
    portfolio_id: PortfolioId,
    symbol: Annotated[Asset, Path(description="The symbol in quarantine.")],
    reason: Annotated[schemas.Reason, Query(description="The reason, for the audit record.")],
) -> Response[Any]:
    """Trade a symbol again that the broker refused permanently; the refused rebalance keeps an audit record."""
    operator_actions().lift_quarantine(app.caller, portfolio_id, symbol, reason)
    return no_content()


@app.get("/portfolios/<portfolio_id>/broker", **operator_route("Read the broker's view", answers=schemas.AccountView))
def read_broker(portfolio_id: PortfolioId) -> Response[Any]:
    """Read cash and positions as the broker reports them, to compare a stale portfolio with."""
    account = portfolios().get(app.caller, portfolio_id).portfolio_id
    try:
        return json_response(schemas.account_view(broker().account(account), dict(broker().positions(account))))
    except OutcomeUnknown:
        raise Unavailable(
            "broker_unavailable", "The broker does not answer. Retry the request.", retry_after_seconds=5
        ) from None


@app.get("/halt", **operator_route("Read the halt switches", answers=schemas.HaltList))
def read_halts() -> Response[Any]:
    """Read the active halt switches of the tenant."""
    return json_response(schemas.halts_view(halt_store().active(app.caller.tenant_id)))


@app.put("/halt", **operator_route("Halt all orders", answers=schemas.HaltList))
def halt_orders(body: schemas.SwitchHalt) -> Response[Any]:
    """Stop sending orders of the tenant, or of all tenants (`all_tenants` needs `market:write`, which only platform
    tenants have)."""
    halt_store().switch_on(Halt(_tenant_of(body.scope), body.reason, app.caller.subject, utc_now()))
    return read_halts()


@app.delete("/halt", **operator_route("Lift a halt", status=HTTPStatus.NO_CONTENT))
def lift_halt(
    scope: Annotated[schemas.HaltScope, Query(description="The switch to turn off.")] = "tenant",
) -> Response[Any]:
    """Allow orders to be sent again."""
    halt_store().switch_off(_tenant_of(scope), utc_now())
    return no_content()


def _tenant_of(scope: schemas.HaltScope) -> str | None:
    """Return the tenant of the switch; None for all tenants, which requires the platform scope."""
    if scope == "all_tenants":
        app.caller.require(ALL_TENANTS_SCOPE)
        return None
    return app.caller.tenant_id


handler = lambda_handler(app)

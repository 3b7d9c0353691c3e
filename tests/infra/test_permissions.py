"""The role of each function grants the calls of the function, table by table and queue by queue; moto allows all calls.

Scenarios with all operations run through the real functions in process, and each call is compared with the policy of
the calling function.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from types import ModuleType
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.client import BaseClient

from functions.analytics_api import handler as analytics_function
from functions.analytics_on_night import handler as after_night_function
from functions.analytics_on_portfolio_changed import handler as change_function
from functions.analytics_on_report_requested import handler as report_function
from functions.analytics_on_valuation_requested import handler as valuation_function
from functions.balancing_api import handler as balancing_function
from functions.balancing_on_check_requested import handler as check_function
from functions.balancing_on_commit import handler as commit_function
from functions.balancing_on_sweep import handler as sweep_function
from functions.compat_api import handler as compat_function
from functions.execution_on_execution_requested import handler as execution_function
from functions.market_api import handler as market_function
from functions.market_on_night import handler as night_function
from functions.market_on_quote_received import handler as quote_function
from functions.notifications_api import handler as notifications_function
from functions.notifications_on_alert import handler as alert_function
from functions.notifications_on_mail_reported import handler as report_of_mail_function
from functions.portfolios_api import handler as api_function
from functions.rebalancing_on_rebalance_requested import handler as worker_function
from functions.webhooks_api import handler as webhooks_function
from functions.webhooks_on_connection import handler as connection_function
from functions.webhooks_on_delivery_requested import handler as delivery_function
from functions.webhooks_on_event import handler as event_function
from functions.webhooks_on_push_requested import handler as push_function
from tests.infra.conftest import Synthesised, functions_of, listed, statements_of, strings
from tests.support import trading
from tests.support.analytics import ValuedPortfolio, at_time
from tests.support.balancing import OPERATOR, Balancing, balanced
from tests.support.fast_moto import fast_items
from tests.support.fast_quotes import fast_quotes
from tests.support.moto_state import fast_transactions
from tests.support.sockets import disconnect, management_api, open_connection
from tests.support.system import BARS_BUCKET, System, payload
from tests.support.webhooks import an_event, create_webhook, delivery_run, log_events, read_ids, receiving
from trimtab.analytics.service import valuations
from trimtab.market.domain.ingested_days import sessions_up_to
from trimtab.portfolios.ledger import service as ledger_service

FUNCTIONS = (
    after_night_function,
    alert_function,
    analytics_function,
    balancing_function,
    change_function,
    market_function,
    night_function,
    notifications_function,
    report_function,
    report_of_mail_function,
    valuation_function,
    quote_function,
    compat_function,
    api_function,
    check_function,
    commit_function,
    execution_function,
    worker_function,
    sweep_function,
    webhooks_function,
    event_function,
    delivery_function,
    connection_function,
    push_function,
)
EXACT = {
    "analytics_api",
    "analytics_on_night",
    "analytics_on_portfolio_changed",
    "analytics_on_report_requested",
    "analytics_on_valuation_requested",
    "balancing_api",
    "compat_api",
    "market_api",
    "market_on_night",
    "market_on_quote_received",
    "notifications_api",
    "notifications_on_alert",
    "webhooks_api",
    "webhooks_on_event",
    "webhooks_on_connection",
    "webhooks_on_push_requested",
    "notifications_on_mail_reported",
    "webhooks_on_delivery_requested",
    "balancing_on_check_requested",
    "balancing_on_commit",
    "execution_on_execution_requested",
}
"""Functions whose every grant is used by the scenarios."""
RARE = {
    ("analytics_api", "dynamodb:Query", "Portfolios/index/by_symbol"),
    ("analytics_api", "dynamodb:BatchGetItem", "Portfolios"),
    ("analytics_on_report_requested", "dynamodb:Query", "Portfolios/index/by_symbol"),
    ("analytics_on_report_requested", "dynamodb:BatchGetItem", "Portfolios"),
    ("analytics_on_valuation_requested", "dynamodb:Query", "Portfolios/index/by_symbol"),
    ("balancing_api", "dynamodb:Query", "Portfolios/index/by_symbol"),
    ("balancing_on_check_requested", "dynamodb:Query", "Portfolios/index/by_symbol"),
    ("execution_on_execution_requested", "dynamodb:Query", "Portfolios/index/by_symbol"),
}
"""Grants to recompute a holding from the trades of a symbol; these functions need them only for a late split."""
OF_EVENT_SOURCES = {
    ("balancing_on_commit", "sqs:SendMessage", "ChangesUnchecked"),
    ("analytics_on_night", "sqs:SendMessage", "NightsFailed"),
    ("market_on_night", "sqs:SendMessage", "NightsFailed"),
}
"""Grants that Lambda itself uses on behalf of the function."""
FAULTS = [
    {"match": {"symbol": "SLOW", "nth": 1}, "latency_seconds": 3600},
    {"match": {"symbol": "DEAD"}, "refuse": "delisted"},
    {"match": {"symbol": "FALL", "side": "BUY"}, "refuse": "halted"},
]
TRANSACTION_ACTIONS = {
    "Put": "PutItem",
    "Delete": "DeleteItem",
    "Update": "UpdateItem",
    "ConditionCheck": "ConditionCheckItem",
}
ACTIONS = {
    *("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"),
    "ConditionCheckItem",
}
QUEUES = {
    "rebalance-requests": "RebalanceRequests",
    "rebalance-executions": "RebalanceExecutions",
    "webhook-deliveries": "WebhookDeliveries",
    "event-pushes": "EventPushes",
}

Call = tuple[str, str, str]
"""A function, an action, and the table, index or queue of the action."""


class CallRecorder:
    """Records the AWS calls of each function while the function handles an event."""

    def __init__(self) -> None:
        self.calls: set[Call] = set()
        self._function: str | None = None

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record until the end of the block."""
        call = BaseClient._make_api_call  # type: ignore[attr-defined]

        def record(client: Any, operation: str, arguments: Any) -> Any:
            if self._function:
                self.calls |= {(self._function, *action) for action in _actions(operation, arguments)}
            return call(client, operation, arguments)

        with ExitStack() as patches:
            patches.enter_context(mock.patch.object(BaseClient, "_make_api_call", record))
            for module in FUNCTIONS:
                patches.enter_context(mock.patch.object(module, "handler", self._named_handler(module)))
            yield

    def _named_handler(self, module: ModuleType) -> Callable[[Any, Any], Any]:
        """Return the handler of a module, wrapped to note the name of the running function."""
        name, handler = module.__name__.split(".")[1], module.handler

        def handle(event: Any, context: Any) -> Any:
            self._function = name
            try:
                return handler(event, context)
            finally:
                self._function = None

        return handle


def _actions(operation: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the IAM actions that a call needs, each with the table, index or queue."""
    if operation.startswith("SendMessage"):
        name = arguments["QueueUrl"].rpartition("/")[2]
        yield "sqs:SendMessage", QUEUES.get(name, name.title())
    elif operation == "TransactWriteItems":
        for item in arguments["TransactItems"]:
            for kind, action in item.items():
                yield f"dynamodb:{TRANSACTION_ACTIONS[kind]}", action["TableName"].title()
    elif operation in {"BatchGetItem", "BatchWriteItem"}:
        for table in arguments["RequestItems"]:
            yield f"dynamodb:{operation}", table.title()
    elif "TableName" in arguments:
        index = f"/index/{arguments['IndexName']}" if "IndexName" in arguments else ""
        yield f"dynamodb:{operation}", arguments["TableName"].title() + index


@pytest.fixture(scope="module")
def calls() -> set[Call]:
    """Every call of the scenarios."""
    from tests.support.system import in_process_system  # noqa: PLC0415 - an import above would make the fixture a test

    recorder = CallRecorder()
    faults = mock.patch.dict("os.environ", {"PAPER_SCENARIO": json.dumps(FAULTS), "REVERSAL_SECONDS": "0"})
    with (
        in_process_system() as system,
        faults,
        fast_transactions(),
        fast_items(),
        fast_quotes(),
        recorder.recording(),
    ):
        _run_scenarios(system)
    return recorder.calls


def _run_scenarios(system: System) -> None:
    """Run quotes, trades, checks, executions, a halt, cancels, requested rebalances, a split and a resolution."""
    mine = balanced(system)
    mine.move(AAPL=140)
    mine.move(AAPL="1.5")
    home = mine.account.home
    system.http("PUT", "/halt", {"reason": "maintenance"}, authorizer=OPERATOR)
    system.http("GET", "/halt", authorizer=OPERATOR)
    mine.run("while-halted")
    system.http("DELETE", "/halt", authorizer=OPERATOR)
    _cancel_before_execution(system, mine)
    mine.run("afterwards")
    trading.split(system, 1, 2)
    _cancel_while_executing(system, mine)
    system.http("GET", f"{home}/broker", authorizer=OPERATOR)
    system.http("GET", f"{home}/checks/last")
    system.http("PATCH", home, {"automation": "manual"})
    mine.settle()
    _go_stale_and_be_resolved(system)
    _hold_what_has_no_quote(system)
    system.run_sweeper()
    _read_the_market(system)
    _value_and_report(system)
    _deliver_to_webhooks(system)
    _push_to_connections(system)
    _serve_clients_of_earlier_systems(system)


def _serve_clients_of_earlier_systems(system: System) -> None:
    """Send each kind of request of the earlier rebalancer, the earlier tracker and the earlier betting service."""
    weights = {"AAPL": 60, "MSFT": 40}
    assert system.http("POST", "/compat/portfolio", {"UserID": 5, "allocation": weights}).status == 201
    assert system.http("POST", "/compat/rebalance", {"userId": 5, "new_allocation": weights}).status == 200
    assert system.http("GET", "/compat/rebalance/list", query={"userId": "5"}).status == 200
    created = system.http("POST", "/api/v1/portfolio", {"user_id": 5, "name": "tracked"}).json
    trade = {"user_id": 5, "portfolio": created["id"], "trade_type": 1, "security_type": "stock", "ticker": "LOST"}
    assert system.http("POST", "/api/v1/trade", {**trade, "ref_id": "t", "volume": 2, "amount": 10}).status == 201
    for query in ({"user_id": "5"}, None):
        for path in ("portfolio", "portfolio-summary", "trade", "trade/t"):
            assert system.http("GET", f"/api/v1/{path}", query=query).status == 200
    assert system.http("GET", f"/api/v1/portfolio/{created['id']}/cumulative-returns").status == 200
    assert system.http("PATCH", f"/api/v1/portfolio/{created['id']}", {"name": "renamed"}).status == 200
    assert system.http("PATCH", "/api/v1/trade/t", {"volume": 1}).status == 200
    with mock.patch.object(ledger_service, "MAX_FOLD", 0):
        assert system.http("PATCH", "/api/v1/trade/t", {"volume": 3}).status == 202
    bet = {"user_id": 5, "market_id": "m", "selection_id": "s", "side": "BACK", "stake": 10, "odds": 2}
    placed = system.http("POST", "/api/v1/orders", bet).json["Order"]
    assert system.http("POST", f"/api/v1/orders/{placed['id']}/settle", {"won": True}).status == 200
    for path in ("orders/open", "positions", "metrics"):
        assert system.http("GET", f"/api/v1/{path}/5").status == 200


def _deliver_to_webhooks(system: System) -> None:
    """Create a webhook, log and deliver events to it, one of them again, and change and delete the webhook."""
    with receiving() as receiver, delivery_run(system) as run:
        home = f"/webhooks/{create_webhook(system, receiver.url)['webhook_id']}"
        receiver.answer = lambda request: 500 if request is receiver.requests[0] else 204
        log_events(system, an_event(1), an_event(2))
        run.finish()
        assert len(read_ids(system)) == 2
        assert system.http("POST", f"{home}/deliveries/1/redeliver").status == 202
        run.finish()
        for method, path, body in (
            *(("GET", "/webhooks", None), ("GET", f"{home}/deliveries", None), ("PATCH", home, {"enabled": False})),
            *(("POST", f"{home}/rotate", None), ("POST", f"{home}/test", None), ("DELETE", home, None)),
        ):
            assert system.http(method, path, body).status < 300


def _push_to_connections(system: System) -> None:
    """Connect two clients, push an event to both, one of which is gone, and disconnect the other."""
    with management_api() as api:
        for name in ("open", "gone"):
            open_connection(system, name)
        api.statuses = {"gone": 410}
        log_events(system, an_event(3))
        system.process_pushes()
        assert disconnect(system, "open") == 200
        assert api.event_ids("open")


def _value_and_report(system: System) -> None:
    """Ingest bars; value a portfolio, raise alerts, mail them, and write a report."""
    days = sessions_up_to(date(2026, 11, 20))
    past = ValuedPortfolio(system, system.portfolio("3", {"AAPL": 50, "MSFT": 50}))
    for day in days:
        text = "symbol,open,high,low,close,volume\nAAPL,100,100,100,100,1\nLEAP,100,100,100,100,1\n"
        boto3.client("s3").put_object(Bucket=BARS_BUCKET, Key=f"daily/{day}.csv", Body=text.encode())
    _hold_a_price_that_the_close_confirms(system)
    morning = datetime(2026, 11, 21, 13, tzinfo=UTC)
    with at_time(morning), mock.patch.object(night_function, "utc_now", return_value=morning):
        system.run_night()
        system.http("PUT", f"{past.path}/contacts", {"emails": ["ada@example.com"]})
        past.cash("deposit", "deposit", 10_000, days[0])
        past.trade("buy", "BUY", "AAPL", 10, 100, days[0])
        past.trade("unpriced", "BUY", "LOST", 1, 1, days[0])
        rules = [{"rule_id": "drift", "kind": "drift_above", "threshold": 1}, {"rule_id": "no", "kind": "missing_data"}]
        system.http("PUT", f"{past.path}/alert-rules", {"rules": rules})
        with mock.patch.object(valuations, "MAX_DAYS", 4):
            past.run_workers()
        system.request_valuations(payload("analytics_on_night/bars_late.json"))
        for resource in ("sectors", "drift", "performance", "risk", "history", "alert-rules", "contacts"):
            assert past.get(resource).status == 200, resource
        assert past.get("performance", benchmark="AAPL").status == 200
        assert system.http("POST", f"{past.path}/reports", {"month": "2026-10"}).status == 202
        system.process_reports()
        _disable_an_address(system, past)
    with at_time(datetime(2026, 12, 1, 6, tzinfo=UTC)):
        system.request_valuations(payload("analytics_on_night/first_of_month.json"))


def _disable_an_address(system: System, past: ValuedPortfolio) -> None:
    """Pass the report of a bounce in 2099, later than the setting of the contacts."""
    (bounce, *_) = payload("notifications_on_mail_reported/bounces_and_complaint.json")["Records"]
    bounce["body"] = re.sub(r'("portfolio": \[")[^"]+', rf"\g<1>{past.portfolio['portfolio_id']}", bounce["body"])
    bounce["body"] = bounce["body"].replace("2026-11-21T09:30:0", "2099-01-01T09:30:0")
    assert system.invoke_worker(bounce, worker=report_of_mail_function) == set()
    assert past.get("contacts").json["disabled"]


def _hold_a_price_that_the_close_confirms(system: System) -> None:
    asset = {"name": "Leap", "exchange": "XNAS"}
    assert system.http("PUT", "/assets/LEAP", asset, authorizer=trading.FEED).status == 200
    for price, at in ((10, "2026-11-18T16:00:00Z"), (100, "2026-11-20T16:00:00Z")):
        quotes = [{"symbol": "LEAP", "price": price, "as_of": at}]
        system.http("POST", "/quotes", {"quotes": quotes}, authorizer=trading.FEED)
        system.process_quotes()
    assert system.http("GET", "/quotes/LEAP", authorizer=trading.FEED).json["held"]["price"] == "100"


def _read_the_market(system: System) -> None:
    asset = payload("market_api/enter_asset.json")
    system.http("PUT", "/assets/AAPL", json.loads(asset["body"]), authorizer=trading.FEED)
    for path, query in (("", {"sector": "energy"}), ("", None), ("/AAPL", None), ("/AAPL/bars", None)):
        assert system.http("GET", f"/assets{path}", query=query, authorizer=trading.FEED).status == 200


def _hold_what_has_no_quote(system: System) -> None:
    balancing = Balancing(system, trading.Account(system, system.portfolio("4", {"QUOTED": 50, "LOST": 50})))
    balancing.deposit(1000)
    balancing.quote(QUOTED=10)
    balancing.buy("QUOTED", 50, 10)
    balancing.buy("LOST", 50, 10)
    balancing.settle()
    assert balancing.last_check()["reason"]["code"] == "no_quote"
    home = balancing.account.home
    assert system.http("POST", f"{home}/rebalances", {"dry_run": True}).json["reason"]["code"] == "no_quote"


def _cancel_before_execution(system: System, mine: Balancing) -> None:
    home = mine.account.home
    asked = system.http("POST", f"{home}/rebalances", {}, headers={"Idempotency-Key": "cancelled"})
    system.http("POST", f"{home}/rebalances/{asked.json['rebalance_id']}/cancel", {})


def _cancel_while_executing(system: System, mine: Balancing) -> None:
    home = mine.account.home
    mine.quote(SLOW=10)
    system.http("PUT", f"{home}/allocation", {"allocation": {"AAPL": 50, "SLOW": 50}})
    mine.settle()
    (waiting, *_) = mine.rebalances()
    assert waiting["status"] == "EXECUTING"
    system.http("POST", f"{home}/rebalances/{waiting['rebalance_id']}/cancel", {})
    mine.settle()
    assert mine.rebalance(waiting["rebalance_id"])["status"] != "EXECUTING"


def _go_stale_and_be_resolved(system: System) -> None:
    balancing = Balancing(system, trading.Account(system, system.portfolio("2", {"FALL": 100})))
    balancing.deposit(1000)
    balancing.quote(FALL=10, DEAD=10)
    balancing.buy("FALL", 100, 10)
    system.http("PUT", f"{balancing.account.home}/allocation", {"allocation": {"FALL": 50, "DEAD": 50}})
    balancing.settle()
    assert balancing.now()["status"] == "STALE"
    body = {"reason": "The broker says so.", "holdings": {"FALL": "51"}}
    assert system.http("POST", f"{balancing.account.home}/resolve", body, authorizer=OPERATOR).status == 200
    balancing.settle()


def test_every_call_is_granted(production: Synthesised, calls: set[Call]) -> None:
    assert calls - granted_calls(production) == set()


def test_no_function_has_a_grant_that_the_function_never_uses(production: Synthesised, calls: set[Call]) -> None:
    unused = {call for call in granted_calls(production) - calls if call[0] in EXACT}

    assert unused - RARE - OF_EVENT_SOURCES == set()


def granted_calls(production: Synthesised) -> set[Call]:
    """Return the grants of all functions on tables and queues, without the grants to read event sources."""
    granted = {
        (name, action, _resource(production, resource))
        for name, function in functions_of(production).items()
        for statement in statements_of(production, function)
        for action in strings(statement["Action"])
        for resource in listed(statement["Resource"])
    }
    checked = {f"dynamodb:{name}" for name in ACTIONS} | {"sqs:SendMessage"}
    return {call for call in granted if call[1] in checked}


def _resource(production: Synthesised, arn: Any) -> str:
    """Return the ARN of a table, index or queue as `Portfolios/index/by_user`."""
    name = next(production.names_in(arn), json.dumps(arn))
    index = re.search(r"/index/\w+", json.dumps(arn))
    return name + (index[0] if index else "")

"""The whole system in one process: the real handlers over moto, driven like the gateway and the event sources do."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
from moto import mock_aws

from functions.analytics_api import handler as analytics_function
from functions.analytics_on_night import handler as analytics_night_function
from functions.analytics_on_report_requested import handler as report_function
from functions.analytics_on_valuation_requested import handler as valuation_function
from functions.balancing_api import handler as balancing_function
from functions.balancing_on_check_requested import handler as check_function
from functions.balancing_on_commit import handler as commit_function
from functions.balancing_on_sweep import handler as sweep_function
from functions.betting_api import handler as betting_function
from functions.betting_on_commit import handler as closing_function
from functions.betting_on_insight_received import handler as insight_function
from functions.betting_on_settlement_requested import handler as settlement_function
from functions.events_on_commit import handler as publisher_function
from functions.execution_on_execution_requested import handler as execution_function
from functions.ledger_on_recalculation_requested import handler as recalculation_function
from functions.market_api import handler as market_function
from functions.market_on_night import handler as night_function
from functions.market_on_quote_received import handler as quote_function
from functions.notifications_api import handler as notifications_function
from functions.notifications_on_alert import handler as alert_function
from functions.portfolios_api import handler as api_function
from functions.rebalancing_on_rebalance_requested import handler as worker_function
from infra.tables import ANALYTICS, BETTING, MARKET, NOTIFICATIONS, PAPER, PORTFOLIOS, WATCHES
from tests.support import aws_setup
from tests.support.clients import kept_client
from tests.support.serving import serving

EVENTS = Path(__file__).parents[2] / "events"
BARS_BUCKET = "bars"
SENDER = "trimtab@example.com"
PUBLIC_URL = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/prod"
ALL_SCOPES = "portfolios:read portfolios:write trades:read trades:write betting:read betting:write analytics:read"
APPS = (
    *(api_function, market_function, balancing_function, betting_function),
    *(analytics_function, notifications_function),
)
TABLE, MARKET_TABLE, BETTING_TABLE, BUS = "portfolios", "market", "betting", "trimtab"
TABLES = {
    TABLE: PORTFOLIOS,
    MARKET_TABLE: MARKET,
    "watches": WATCHES,
    "paper": PAPER,
    BETTING_TABLE: BETTING,
    "analytics": ANALYTICS,
    "notifications": NOTIFICATIONS,
}
AUTH = {
    "issuer": "https://issuer.example",
    "audience": "trimtab",
    "jwks_parameter": "/trimtab/test/jwks",
}


@dataclass
class LambdaContext:
    """What Powertools looks at in the context of an invocation."""

    function_name: str = "function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:function"
    aws_request_id: str = "11111111-2222-3333-4444-555555555555"

    def get_remaining_time_in_millis(self) -> int:
        """Plenty."""
        return 30_000


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.text)


@lru_cache
def payload_text(path: str) -> str:
    """A payload of `events/`, as text."""
    return (EVENTS / path).read_text()


def payload(path: str) -> Any:
    """A payload of `events/`, fresh."""
    return json.loads(payload_text(path))


def gateway_event(
    method: str,
    path: str,
    body: Any = None,
    *,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    authorizer: dict[str, str] | None = None,
    request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
) -> dict[str, Any]:
    """The gateway's proxy event: a real one, with these parts put in."""
    event = payload("portfolios_api/create_portfolio.json")
    all_headers = {"Content-Type": "application/json", **(headers or {})}
    event |= {
        "httpMethod": method,
        "path": path,
        "resource": _resource(path),
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "headers": all_headers,
        "multiValueHeaders": {name: [value] for name, value in all_headers.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
    }
    context = event["requestContext"]
    context |= {"httpMethod": method, "path": "/local" + path, "requestId": request_id}
    if authorizer is None:
        context.pop("authorizer", None)
    else:
        context["authorizer"] = authorizer
    return dict(event)


def _resource(path: str) -> str:
    """The gateway's name for the resource that a path leads to."""
    found = [str(route.openapi_path) for app in APPS for route in _routes(app) if route.rule.match(path)]
    return min(found, key=lambda name: name.count("{"), default=path)  # the gateway prefers what is written out


def _routes(function: Any) -> list[Any]:
    return [*function.app._static_routes, *function.app._dynamic_routes]


def _function_of(resource: str, method: str) -> Any:
    """The function that has the method of the resource, else one that has the resource, else any."""
    having = [app for app in APPS if any(route.openapi_path == resource for route in _routes(app))]
    exact = [
        app for app in having if any(it.openapi_path == resource and it.method.upper() == method for it in _routes(app))
    ]
    return next(iter([*exact, *having]), api_function)


def authorized(
    tenant_id: str = "demo", user_id: str = "", scope: str = ALL_SCOPES, exp: str = "9999999999"
) -> dict[str, str]:
    """The authorizer's context for a caller."""
    return {"tenant_id": tenant_id, "user_id": user_id, "scope": scope, "subject": "test", "exp": exp}


def sqs_record(body: str, *, message_id: str = "059f36b4-87a3-44ab-83d2-661975830a7d", **attributes: str) -> Any:
    """A record of an SQS batch: a real one, with this body."""
    record = payload("rebalancing_on_rebalance_requested/batch_with_poison.json")["Records"][0]
    record |= {"body": body, "messageId": message_id}
    record["attributes"] |= attributes
    return record


@dataclass
class System:
    """The stack in one process."""

    queue_url: str
    undelivered_url: str
    recalculations_url: str
    quotes_url: str
    checks_url: str
    executions_url: str
    insights_url: str
    settlements_url: str
    valuations_url: str
    reports_url: str
    mails_url: str
    context: LambdaContext = field(default_factory=LambdaContext)

    def http(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Sends a request as the tenant `demo` with all scopes, unless told otherwise."""
        options.setdefault("authorizer", authorized())
        return self.answer(gateway_event(method, path, body, **options))

    def answer(self, event: dict[str, Any]) -> Answer:
        """The answer of the API function that has the route to a gateway event."""
        raw = _function_of(event["resource"], event["httpMethod"]).handler(event, self.context)
        headers = {name: values[0] for name, values in raw.get("multiValueHeaders", {}).items()}
        return Answer(raw["statusCode"], headers, raw["body"])

    def work(self, *records: Any, worker: Any = worker_function) -> set[str]:
        """The worker's answer to a batch: the ids of the messages that it returned."""
        response = worker.handler({"Records": list(records)}, self.context)
        return {failure["itemIdentifier"] for failure in response["batchItemFailures"]}

    def recalculate(self) -> int:
        """Lets the worker of recalculations take everything that is on its queue; how many messages it took."""
        return self.work_off(self.recalculations_url, recalculation_function)

    def work_off(self, url: str = "", worker: Any = worker_function) -> int:
        """Lets a worker take everything that is on its queue; how many messages it took."""
        sqs, taken, url = boto3.client("sqs"), 0, url or self.queue_url
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]).get(
            "Messages"
        ):
            records = [
                sqs_record(message["Body"], message_id=message["MessageId"], **message["Attributes"])
                for message in messages
            ]
            failed = self.work(*records, worker=worker)
            for message in messages:
                if message["MessageId"] not in failed:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken += len(messages)
        return taken

    def take_quotes(self) -> int:
        """Lets the worker of quotes take everything that is on its queue; how many messages it took."""
        return self.work_off(self.quotes_url, quote_function)

    def check(self) -> int:
        """Lets the worker of checks take everything that is on its queue; how many messages it took."""
        return self.work_off(self.checks_url, check_function)

    def execute(self) -> int:
        """Lets the execution worker take everything that is on its queue; how many messages it took."""
        return self.work_off(self.executions_url, execution_function)

    def take_insights(self) -> int:
        """Lets the worker of insights take everything that is on its queue; how many messages it took."""
        return self.work_off(self.insights_url, insight_function)

    def settle(self) -> int:
        """Lets the worker of settlements take everything that is on its queue; how many messages it took."""
        return self.work_off(self.settlements_url, settlement_function)

    def stream_betting(self, records: list[Any]) -> Any:
        """Hands a batch of the betting table's stream to the function that looks after closings."""
        return closing_function.handler({"Records": records}, self.context)

    def stream(self, records: list[Any]) -> Any:
        """Hands a batch of the stream to the function that asks for checks."""
        return commit_function.handler({"Records": records}, self.context)

    def sweep(self) -> dict[str, int]:
        """One pass of the sweeper."""
        return dict(sweep_function.handler(payload("balancing_on_sweep/schedule.json"), self.context))

    def night(self) -> dict[str, int]:
        """One night of the ingestion of bars."""
        return dict(night_function.handler(payload("market_on_night/schedule.json"), self.context))

    def value(self) -> int:
        """Lets the worker of valuations take everything that is on its queue; how many messages it took."""
        return self.work_off(self.valuations_url, valuation_function)

    def report(self) -> int:
        """Lets the worker of reports take everything that is on its queue; how many messages it took."""
        return self.work_off(self.reports_url, report_function)

    def tell(self) -> int:
        """Lets the worker of alerts take everything that is on its queue; how many messages it took."""
        return self.work_off(self.mails_url, alert_function)

    def after_night(self, event: Any) -> dict[str, int]:
        """Hands an event of the bus or of the schedule to the function that asks for valuations and reports."""
        return dict(analytics_night_function.handler(event, self.context))

    def publish(self, records: list[Any]) -> Any:
        """The publisher's answer to a batch of the stream."""
        return publisher_function.handler({"Records": records}, self.context)

    def items(self) -> list[dict[str, Any]]:
        """Every item of the table."""
        pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def portfolio(self, user_id: str = "1", allocation: dict[str, Any] | None = None, **members: Any) -> Any:
        """Creates a portfolio; the target is that of the example unless another is given."""
        target = allocation or {"stocks": 60, "bonds": 30, "gold": 10}
        answer = self.http("POST", "/portfolio", {"user_id": user_id, "allocation": target, **members})
        assert answer.status == 201, answer.text
        return answer.json


@contextmanager
def in_process_system() -> Iterator[System]:
    """A fresh system; moto's state, the environment and every cached client end with it."""
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_SERVICE_NAME": "test",
        "POWERTOOLS_METRICS_NAMESPACE": "Trimtab",
    }
    clients = mock.patch("boto3.client", kept_client)
    with mock.patch.dict("os.environ", environment), mock_aws(), clients, serving():
        forget_cached()
        for name, shape in TABLES.items():
            aws_setup.add_table(name, shape)
        aws_setup.add_bus(BUS)
        aws_setup.add_sender(SENDER)
        aws_setup.add_secret("links", "k" * 64)
        aws_setup.add_bucket(BARS_BUCKET)
        queue_url, undelivered_url, recalculations_url = map(
            aws_setup.add_queue, ("rebalance-requests", "events-undelivered", "recalculations")
        )
        quotes_url, checks_url, executions_url = map(aws_setup.add_queue, ("quotes", "checks", "rebalance-executions"))
        insights_url, settlements_url = map(aws_setup.add_queue, ("insights", "settlements"))
        valuations_url, reports_url, mails_url = map(aws_setup.add_queue, ("valuations", "reports", "mails"))
        settings = {
            "BETTING_TABLE": BETTING_TABLE,
            "SETTLEMENTS_QUEUE_URL": settlements_url,
            "SETTLEMENT_RECHECK_SECONDS": "0",
            "MAX_STAKE": "10000.00",
            "MAX_EXPOSURE": "100000.00",
            "ANALYTICS_TABLE": "analytics",
            "NOTIFICATIONS_TABLE": "notifications",
            "VALUATIONS_QUEUE_URL": valuations_url,
            "REPORTS_QUEUE_URL": reports_url,
            "LINKS_SECRET_ID": "links",
            "PUBLIC_URL": PUBLIC_URL,
            "MAIL_SENDER": SENDER,
            "WATCHES_TABLE": "watches",
            "WATCH_SHARDS": "1",
            "PAPER_TABLE": "paper",
            "QUOTES_QUEUE_URL": quotes_url,
            "CHECKS_QUEUE_URL": checks_url,
            "EXECUTIONS_QUEUE_URL": executions_url,
            "RUN_SECONDS": "21600",
            "LEASE_SECONDS": "90",
            "THREADS": "1",
            "PORTFOLIOS_TABLE": TABLE,
            "MARKET_TABLE": MARKET_TABLE,
            "REBALANCE_REQUESTS_QUEUE_URL": queue_url,
            "RECALCULATIONS_QUEUE_URL": recalculations_url,
            "AUTH": json.dumps(AUTH),
            "SENDER_TENANTS": '{"*": ["*"]}',
            "EVENT_BUS_NAME": BUS,
            "EVENTS_UNDELIVERED_QUEUE_URL": undelivered_url,
            "BARS_PLACE": f"s3://{BARS_BUCKET}/daily",
        }
        with mock.patch.dict("os.environ", settings):
            yield System(
                queue_url,
                undelivered_url,
                recalculations_url,
                quotes_url,
                checks_url,
                executions_url,
                insights_url,
                settlements_url,
                valuations_url,
                reports_url,
                mails_url,
            )
        forget_cached()


def forget_cached() -> None:
    """Clears what functions keep between invocations, as a cold start does."""
    for thing in _caches(len(sys.modules)):
        thing.cache_clear()


@lru_cache(maxsize=1)
def _caches(modules: int) -> list[Any]:
    """What is kept anywhere, found again whenever there are more modules: looking takes longer than a call."""
    ours = [module for name, module in sys.modules.items() if name.startswith(("trimtab.", "functions."))]
    return [thing for module in ours for thing in vars(module).values() if hasattr(thing, "cache_clear")]

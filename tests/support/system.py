"""The whole system in one process: the real handlers over moto, invoked like the gateway and the event sources do."""

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
from functions.analytics_on_portfolio_changed import handler as change_function
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
from functions.compat_api import handler as compat_function
from functions.events_on_commit import handler as publisher_function
from functions.execution_on_execution_requested import handler as execution_function
from functions.ledger_on_recalculation_requested import handler as recalculation_function
from functions.market_api import handler as market_function
from functions.market_on_night import handler as night_function
from functions.market_on_quote_received import handler as quote_function
from functions.notifications_api import handler as notifications_function
from functions.notifications_on_alert import handler as alert_function
from functions.platform_api import handler as platform_function
from functions.portfolios_api import handler as api_function
from functions.rebalancing_on_rebalance_requested import handler as worker_function
from functions.webhooks_api import handler as webhooks_function
from functions.webhooks_on_delivery_requested import handler as delivery_function
from functions.webhooks_on_event import handler as event_function
from functions.webhooks_on_push_requested import handler as push_function
from infra.tables import ANALYTICS, BETTING, MARKET, NOTIFICATIONS, PAPER, PORTFOLIOS, WATCHES, WEBHOOKS
from tests.support import aws_setup
from tests.support.clients import kept_client, kept_test_client
from tests.support.serving import serving

EVENTS = Path(__file__).parents[2] / "events"
BARS_BUCKET = "bars"
SENDER = "trimtab@example.com"
ALERTS_TOPIC = f"arn:aws:sns:{aws_setup.REGION}:{aws_setup.ACCOUNT}:alerts"
PUBLIC_URL = "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/prod"
ALL_SCOPES = "portfolios:read portfolios:write trades:read trades:write betting:read betting:write analytics:read"
ALL_SCOPES += " events:read webhooks:read webhooks:write"
APPS = (
    *(api_function, market_function, balancing_function, betting_function),
    *(analytics_function, notifications_function, webhooks_function),
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
    "webhooks": WEBHOOKS,
}
AUTH: dict[str, Any] = {
    "issuer": "https://issuer.example",
    "audience": "trimtab",
    "jwks_parameter": "/trimtab/test/jwks",
    "platform_tenants": ["demo"],
}


@dataclass
class LambdaContext:
    """The context of an invocation, with the members that Powertools reads."""

    function_name: str = "function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:function"
    aws_request_id: str = "11111111-2222-3333-4444-555555555555"

    def get_remaining_time_in_millis(self) -> int:
        """Return enough time for any test."""
        return 30_000


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.text)


@lru_cache
def payload_text(path: str) -> str:
    """Return a payload of `events/` as text."""
    return (EVENTS / path).read_text()


def payload(path: str) -> Any:
    """Return a payload of `events/` as a new object."""
    return json.loads(payload_text(path))


def gateway_event(
    method: str,
    path: str,
    body: Any = None,
    *,
    query: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    authorizer: dict[str, str] | None = None,
    request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
) -> dict[str, Any]:
    """Return a proxy event of the gateway: a recorded one with these parts replaced.

    A parameter of the query may have a list of values.
    """
    many = {name: value if isinstance(value, list) else [value] for name, value in (query or {}).items()}
    event = payload("portfolios_api/create_portfolio.json")
    path = "/" + path.lstrip("./")  # a link of a response is relative
    resource, parameters = _match(path)
    all_headers = {"Content-Type": "application/json", **(headers or {})}
    event |= {
        "httpMethod": method,
        "path": path,
        "resource": resource,
        "pathParameters": parameters or None,
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "headers": all_headers,
        "multiValueHeaders": {name: [value] for name, value in all_headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in many.items()} or None,
        "multiValueQueryStringParameters": many or None,
    }
    context = event["requestContext"]
    context |= {"httpMethod": method, "path": "/local" + path, "requestId": request_id}
    if authorizer is None:
        context.pop("authorizer", None)
    else:
        context["authorizer"] = authorizer
    return dict(event)


def _match(path: str) -> tuple[str, dict[str, str]]:
    """Return the gateway's resource for a path, and the path parameters as sent, as a REST API passes them."""
    names = {str(route.openapi_path) for app in (*APPS, platform_function) for route in _routes(app)}
    names |= set(compat_function.PROXIES)
    found = [(name, parameters) for name in names if (parameters := _parameters(name, path)) is not None]
    # The gateway prefers what is written out.
    return min(found, key=lambda match: len(match[1]), default=(path, {}))


def _parameters(resource: str, path: str) -> dict[str, str] | None:
    tree = resource.partition("{proxy+}")[0]
    if tree != resource:
        return {"proxy": path.removeprefix(tree)} if path.startswith(tree) else None
    parts, given = resource.split("/"), path.rstrip("/").split("/")
    pairs = list(zip(parts, given, strict=False))
    if len(parts) != len(given) or any(part != segment and part[:1] != "{" for part, segment in pairs):
        return None
    return {part.strip("{}"): segment for part, segment in pairs if part[:1] == "{"}


def _routes(function: Any) -> list[Any]:
    return [*function.app._static_routes, *function.app._dynamic_routes]


def _function_of(resource: str, method: str) -> Any:
    """Return the function that serves the method of a resource, else a function that serves the resource, else any."""
    if resource in compat_function.PROXIES:
        return compat_function
    having = [
        app for app in (*APPS, platform_function) if any(route.openapi_path == resource for route in _routes(app))
    ]
    exact = [
        app
        for app in having
        if any(route.openapi_path == resource and route.method.upper() == method for route in _routes(app))
    ]
    return next(iter([*exact, *having]), api_function)


def authorized(
    tenant_id: str = "demo", user_id: str = "", scope: str = ALL_SCOPES, exp: str = "9999999999"
) -> dict[str, str]:
    """Return the authorizer's context for a caller."""
    return {"tenant_id": tenant_id, "user_id": user_id, "scope": scope, "subject": "test", "exp": exp}


def sqs_record(body: str, *, message_id: str = "059f36b4-87a3-44ab-83d2-661975830a7d", **attributes: str) -> Any:
    """Return a record of an SQS batch: a recorded one with this body."""
    record = payload("rebalancing_on_rebalance_requested/batch_with_poison.json")["Records"][0]
    record |= {"body": body, "messageId": message_id}
    record["attributes"] |= attributes
    return record


def receive_batch(url: str, size: int) -> list[Any]:
    """Return at most `size` messages of a queue; SQS returns at most ten a call."""
    batch: list[Any] = []
    while len(batch) < size:
        number = min(10, size - len(batch))
        answer = boto3.client("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=number, AttributeNames=["All"], MessageAttributeNames=["All"]
        )
        if not answer.get("Messages"):
            break
        batch += answer["Messages"]
    return batch


def record_of(message: Any) -> Any:
    """Return the record of a received message, as an event source passes it."""
    record = sqs_record(message["Body"], message_id=message["MessageId"], **message.get("Attributes", {}))
    attributes = message.get("MessageAttributes", {})
    record["messageAttributes"] = {
        name: {"stringValue": attribute["StringValue"], "dataType": attribute["DataType"]}
        for name, attribute in attributes.items()
    }
    return record


@dataclass
class System:
    """The system in this process: its queues, and methods that invoke its functions."""

    queue_url: str
    undelivered_url: str
    recalculations_url: str
    quotes_url: str
    checks_url: str
    executions_url: str
    insights_url: str
    settlements_url: str
    changes_url: str
    valuations_url: str
    reports_url: str
    mails_url: str
    webhook_events_url: str
    webhook_deliveries_url: str
    pushes_url: str
    context: LambdaContext = field(default_factory=LambdaContext)

    def http(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a request, by default as the tenant `demo` with all scopes."""
        options.setdefault("authorizer", authorized())
        return self.answer(gateway_event(method, path, body, **options))

    def answer(self, event: dict[str, Any]) -> Answer:
        """Return the answer of the API function that serves the gateway event."""
        raw = _function_of(event["resource"], event["httpMethod"]).handler(event, self.context)
        headers = {name: values[0] for name, values in raw.get("multiValueHeaders", {}).items()}
        return Answer(raw["statusCode"], headers, raw["body"])

    def invoke_worker(self, *records: Any, worker: Any = worker_function) -> set[str]:
        """Invoke a worker with a batch; return the ids of the messages that it returned to the queue."""
        response = worker.handler({"Records": list(records)}, self.context)
        return {failure["itemIdentifier"] for failure in response["batchItemFailures"]}

    def process_recalculations(self) -> int:
        """Process every message on the queue of recalculations; return the number of messages."""
        return self.drain_queue(self.recalculations_url, recalculation_function)

    def drain_queue(self, url: str = "", worker: Any = worker_function, batch_size: int = 10) -> int:
        """Process every message on a queue with a worker; return the number of messages."""
        sqs, taken, url = boto3.client("sqs"), 0, url or self.queue_url
        while messages := receive_batch(url, batch_size):
            failed = self.invoke_worker(*map(record_of, messages), worker=worker)
            for message in messages:
                if message["MessageId"] not in failed:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken += len(messages)
        return taken

    def process_quotes(self) -> int:
        """Process every message on the queue of quotes; return the number of messages."""
        return self.drain_queue(self.quotes_url, quote_function)

    def process_checks(self) -> int:
        """Process every message on the queue of checks; return the number of messages."""
        return self.drain_queue(self.checks_url, check_function)

    def process_executions(self) -> int:
        """Process every message on the queue of executions; return the number of messages."""
        return self.drain_queue(self.executions_url, execution_function)

    def process_insights(self) -> int:
        """Process every message on the queue of insights; return the number of messages."""
        return self.drain_queue(self.insights_url, insight_function)

    def process_settlements(self) -> int:
        """Process every message on the queue of settlements; return the number of messages."""
        return self.drain_queue(self.settlements_url, settlement_function)

    def pass_betting_stream(self, records: list[Any]) -> Any:
        """Pass stream records of the betting table to the function that requests settlements."""
        return closing_function.handler({"Records": records}, self.context)

    def pass_stream(self, records: list[Any]) -> Any:
        """Pass stream records of the portfolios table to the function that requests checks."""
        return commit_function.handler({"Records": records}, self.context)

    def run_sweeper(self) -> dict[str, int]:
        """Run the sweeper once."""
        return dict(sweep_function.handler(payload("balancing_on_sweep/schedule.json"), self.context))

    def run_night(self) -> dict[str, int]:
        """Run the nightly ingestion of bars once."""
        return dict(night_function.handler(payload("market_on_night/schedule.json"), self.context))

    def process_changes(self) -> int:
        """Process every event on the queue of changed portfolios, a hundred at once; return the number of events."""
        return self.drain_queue(self.changes_url, change_function, batch_size=100)

    def process_valuations(self) -> int:
        """Process every message on the queue of valuations; return the number of messages."""
        return self.drain_queue(self.valuations_url, valuation_function)

    def process_reports(self) -> int:
        """Process every message on the queue of reports; return the number of messages."""
        return self.drain_queue(self.reports_url, report_function)

    def process_mails(self) -> int:
        """Process every message on the queue of mails; return the number of messages."""
        return self.drain_queue(self.mails_url, alert_function)

    def process_webhook_events(self) -> int:
        """Log every event on the queue of events for clients; return the number of messages."""
        return self.drain_queue(self.webhook_events_url, event_function, batch_size=100)

    def process_webhook_deliveries(self) -> int:
        """Process every message on the queue of deliveries; return the number of messages."""
        return self.drain_queue(self.webhook_deliveries_url, delivery_function)

    def process_pushes(self) -> int:
        """Process every message on the queue of pushes; return the number of messages."""
        return self.drain_queue(self.pushes_url, push_function)

    def request_valuations(self, event: Any) -> dict[str, int]:
        """Pass an event of the bus or the schedule to the function that requests valuations and reports."""
        return dict(analytics_night_function.handler(event, self.context))

    def publish_events(self, records: list[Any]) -> Any:
        """Pass stream records to the event publisher and return its answer."""
        return publisher_function.handler({"Records": records}, self.context)

    def items(self) -> list[dict[str, Any]]:
        """Return every item of the portfolios table."""
        pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def portfolio(self, user_id: str = "1", allocation: dict[str, Any] | None = None, **members: Any) -> Any:
        """Create a portfolio, by default with the target of the example."""
        target = allocation or {"stocks": 60, "bonds": 30, "gold": 10}
        answer = self.http("POST", "/portfolio", {"user_id": user_id, "allocation": target, **members})
        assert answer.status == 201, answer.text
        return answer.json


@contextmanager
def in_process_system() -> Iterator[System]:
    """Provide a new system; moto's state, the environment and all cached clients end with the `with` block."""
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_SERVICE_NAME": "test",
        "POWERTOOLS_METRICS_NAMESPACE": "Trimtab",
    }
    clients = mock.patch("trimtab.runtime.aws_client.make_client", kept_client)
    test_clients = mock.patch("boto3.client", kept_test_client)
    with mock.patch.dict("os.environ", environment), serving(), mock_aws(), clients, test_clients:
        forget_cached()
        for name, shape in TABLES.items():
            aws_setup.add_table(name, shape)
        aws_setup.add_bus(BUS)
        aws_setup.add_sender(SENDER)
        aws_setup.add_topic("alerts")
        aws_setup.add_secret("links", "k" * 64)
        aws_setup.add_secret("cursors", "c" * 64)
        aws_setup.add_bucket(BARS_BUCKET)
        queue_url, undelivered_url, recalculations_url = map(
            aws_setup.add_queue, ("rebalance-requests", "events-undelivered", "recalculations")
        )
        quotes_url, checks_url, executions_url = map(aws_setup.add_queue, ("quotes", "checks", "rebalance-executions"))
        insights_url, settlements_url = map(aws_setup.add_queue, ("insights", "settlements"))
        changes_url = aws_setup.add_queue("portfolio-changes")
        valuations_url, reports_url, mails_url = map(aws_setup.add_queue, ("valuations", "reports", "mails"))
        webhook_events_url, webhook_deliveries_url, pushes_url = map(
            aws_setup.add_queue, ("webhook-events", "webhook-deliveries", "event-pushes")
        )
        settings = {
            "BETTING_TABLE": BETTING_TABLE,
            "SETTLEMENTS_QUEUE_URL": settlements_url,
            "SETTLEMENT_RECHECK_SECONDS": "0",
            "MAX_STAKE": "10000.00",
            "MAX_EXPOSURE": "100000.00",
            "ANALYTICS_TABLE": "analytics",
            "NOTIFICATIONS_TABLE": "notifications",
            "WEBHOOKS_TABLE": "webhooks",
            "DELIVERIES_QUEUE_URL": webhook_deliveries_url,
            "PUSHES_QUEUE_URL": pushes_url,
            "SOCKET_ENDPOINT": "http://127.0.0.1:9",
            "ALLOW_LOCAL_WEBHOOKS": "true",
            "WEBHOOK_RETRY_SECONDS": "10",
            "VALUATIONS_QUEUE_URL": valuations_url,
            "REPORTS_QUEUE_URL": reports_url,
            "LINKS_SECRET_ID": "links",
            "CURSORS_SECRET_ID": "cursors",
            "PUBLIC_URL": PUBLIC_URL,
            "MAIL_SENDER": SENDER,
            "ALERTS_TOPIC_ARN": ALERTS_TOPIC,
            "ALERT_WEBHOOK_SECRET": "alert-webhook",
            "WATCHES_TABLE": "watches",
            "WATCH_SHARDS": "1",
            "PAPER_TABLE": "paper",
            "QUOTES_QUEUE_URL": quotes_url,
            "CHECKS_QUEUE_URL": checks_url,
            "EXECUTIONS_QUEUE_URL": executions_url,
            "RUN_SECONDS": "21600",
            "LEASE_SECONDS": "90",
            "THREADS": "1",
            "WORK_QUEUES": "rebalance-requests,quotes",
            "FAILURE_QUEUES": "events-undelivered",
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
                changes_url,
                valuations_url,
                reports_url,
                mails_url,
                webhook_events_url,
                webhook_deliveries_url,
                pushes_url,
            )
        forget_cached()


def forget_cached() -> None:
    """Clear what functions keep between invocations, as a cold start does."""
    for thing in _caches(len(sys.modules)):
        thing.cache_clear()


@lru_cache(maxsize=1)
def _caches(modules: int) -> list[Any]:
    """Return every cached function of our modules; the search is repeated only when more modules are loaded."""
    ours = [module for name, module in sys.modules.items() if name.startswith(("trimtab.", "functions."))]
    return [thing for module in ours for thing in vars(module).values() if hasattr(thing, "cache_clear")]

"""What each function's role may do covers what the function does, table by table and queue by queue; moto allows all.

A day in the life of the system runs through the real functions in process, and each call is held against the policy
of the function that made it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.client import BaseClient

from functions.analytics_api import handler as analytics_function
from functions.analytics_on_night import handler as after_night_function
from functions.analytics_on_report_requested import handler as report_function
from functions.analytics_on_valuation_requested import handler as valuation_function
from functions.balancing_api import handler as balancing_function
from functions.balancing_on_check_requested import handler as check_function
from functions.balancing_on_commit import handler as commit_function
from functions.balancing_on_sweep import handler as sweep_function
from functions.execution_on_execution_requested import handler as execution_function
from functions.market_api import handler as market_function
from functions.market_on_night import handler as night_function
from functions.market_on_quote_received import handler as quote_function
from functions.notifications_api import handler as notifications_function
from functions.notifications_on_alert import handler as alert_function
from functions.portfolios_api import handler as api_function
from functions.rebalancing_on_rebalance_requested import handler as worker_function
from tests.infra.conftest import Synthesised, functions_of, statements_of, strings
from tests.support import trading
from tests.support.analytics import Past, at
from tests.support.balancing import OPERATOR, Balancing, balanced
from tests.support.fast_moto import quick_items
from tests.support.fast_quotes import quick_quotes
from tests.support.moto_state import quick_transactions
from tests.support.system import BARS_BUCKET, System, payload
from trimtab.market.domain.ingested import sessions_up_to

FUNCTIONS = (
    after_night_function,
    alert_function,
    analytics_function,
    balancing_function,
    market_function,
    night_function,
    notifications_function,
    report_function,
    valuation_function,
    quote_function,
    api_function,
    check_function,
    commit_function,
    execution_function,
    worker_function,
    sweep_function,
)
EXACT = {
    "analytics_api",
    "analytics_on_night",
    "analytics_on_report_requested",
    "analytics_on_valuation_requested",
    "balancing_api",
    "market_api",
    "market_on_night",
    "market_on_quote_received",
    "notifications_api",
    "notifications_on_alert",
    "balancing_on_check_requested",
    "balancing_on_commit",
    "execution_on_execution_requested",
}
"""Functions whose every grant is used by what runs here."""
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
"""Grants for the fold of a symbol's trades, which only a split that is entered late asks of these functions."""
OF_FEEDS = {
    ("balancing_on_commit", "sqs:SendMessage", "ChangesUnchecked"),
    ("analytics_on_night", "sqs:SendMessage", "NightsFailed"),
    ("market_on_night", "sqs:SendMessage", "NightsFailed"),
}
"""Grants that Lambda itself uses, for the function."""
TROUBLE = [
    {"match": {"symbol": "SLOW", "nth": 1}, "latency_seconds": 3600},
    {"match": {"symbol": "DEAD"}, "refuse": "delisted"},
    {"match": {"symbol": "FALL", "side": "BUY"}, "refuse": "halted"},
]
INNER = {"Put": "PutItem", "Delete": "DeleteItem", "Update": "UpdateItem", "ConditionCheck": "ConditionCheckItem"}
ACTIONS = {"GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"}
QUEUES = {"rebalance-requests": "RebalanceRequests", "rebalance-executions": "RebalanceExecutions"}

Call = tuple[str, str, str]
"""A function, an action, and the table, index or queue that it is done to."""


class Recorder:
    """Notes the calls of each function while it handles an event."""

    def __init__(self) -> None:
        self.calls: set[Call] = set()
        self._function: str | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Until the end of the block."""
        call = BaseClient._make_api_call  # type: ignore[attr-defined]

        def noted(client: Any, operation: str, arguments: Any) -> Any:
            if self._function:
                self.calls |= {(self._function, *each) for each in _done(operation, arguments)}
            return call(client, operation, arguments)

        with mock.patch.object(BaseClient, "_make_api_call", noted):
            patches = [mock.patch.object(each, "handler", self._told(each.handler, each)) for each in FUNCTIONS]
            for patch in patches:
                patch.start()
            try:
                yield
            finally:
                for patch in patches:
                    patch.stop()

    def _told(self, handler: Any, module: Any) -> Any:
        name = module.__name__.split(".")[1]

        def told(event: Any, context: Any) -> Any:
            self._function = name
            try:
                return handler(event, context)
            finally:
                self._function = None

        return told


def _done(operation: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The actions that a call needs to be allowed, with what they are done to."""
    if operation.startswith("SendMessage"):
        name = arguments["QueueUrl"].rpartition("/")[2]
        yield "sqs:SendMessage", QUEUES.get(name, name.title())
    elif operation == "TransactWriteItems":
        for item in arguments["TransactItems"]:
            for kind, action in item.items():
                yield f"dynamodb:{INNER[kind]}", action["TableName"].title()
    elif operation in {"BatchGetItem", "BatchWriteItem"}:
        for table in arguments["RequestItems"]:
            yield f"dynamodb:{operation}", table.title()
    elif "TableName" in arguments:
        index = f"/index/{arguments['IndexName']}" if "IndexName" in arguments else ""
        yield f"dynamodb:{operation}", arguments["TableName"].title() + index


@pytest.fixture(scope="module")
def made() -> set[Call]:
    """Every call of a day in the life of the system."""
    from tests.support.system import in_process_system  # noqa: PLC0415 - the fixture of that name makes one a test

    recorder = Recorder()
    trouble = mock.patch.dict("os.environ", {"PAPER_SCENARIO": json.dumps(TROUBLE), "REVERSAL_SECONDS": "0"})
    with (
        in_process_system() as system,
        trouble,
        quick_transactions(),
        quick_items(),
        quick_quotes(),
        recorder.listening(),
    ):
        _live(system)
    return recorder.calls


def _live(system: System) -> None:
    """Quotes, trades, checks, executions, a halt, a cancel, a run, a split, a new target, a resolution."""
    mine = balanced(system)
    mine.move(AAPL=140)
    mine.move(AAPL="1.5")
    home = mine.account.home
    system.http("PUT", "/halt", {"reason": "maintenance"}, authorizer=OPERATOR)
    system.http("GET", "/halt", authorizer=OPERATOR)
    mine.run("while-halted")
    system.http("DELETE", "/halt", authorizer=OPERATOR)
    _cancel_one(system, mine)
    mine.run("afterwards")
    trading.split(system, 1, 2)
    _cancel_one_under_way(system, mine)
    system.http("GET", f"{home}/broker", authorizer=OPERATOR)
    system.http("GET", f"{home}/checks/last")
    system.http("PATCH", home, {"automation": "manual"})
    mine.settle()
    _go_stale_and_be_resolved(system)
    system.sweep()
    _look_at_the_market(system)
    _look_back(system)


def _look_back(system: System) -> None:
    """Bars come, a portfolio is valued, looked at, told of and reported on."""
    days = sessions_up_to(date(2026, 11, 20))
    past = Past(system, system.portfolio("3", {"AAPL": 50, "MSFT": 50}))
    for day in days:
        text = "symbol,open,high,low,close,volume\nAAPL,100,100,100,100,1\n"
        boto3.client("s3").put_object(Bucket=BARS_BUCKET, Key=f"daily/{day}.csv", Body=text.encode())
    morning = datetime(2026, 11, 21, 13, tzinfo=UTC)
    with at(morning), mock.patch.object(night_function, "utc_now", return_value=morning):
        system.night()
        system.http("PUT", f"{past.home}/contacts", {"emails": ["ada@example.com"]})
        past.cash("deposit", "deposit", 10_000, days[0])
        past.trade("buy", "BUY", "AAPL", 10, 100, days[0])
        rules = [{"rule_id": "drift", "kind": "drift_above", "threshold": 1}, {"rule_id": "no", "kind": "missing_data"}]
        system.http("PUT", f"{past.home}/alert-rules", {"rules": rules})
        past.settle()
        system.after_night(payload("analytics_on_night/bars_late.json"))
        for resource in ("sectors", "drift", "performance", "risk", "history", "alert-rules", "contacts"):
            assert past.get(resource).status == 200, resource
        assert past.get("performance", benchmark="AAPL").status == 200
        assert system.http("POST", f"{past.home}/reports", {"month": "2026-10"}).status == 202
        system.report()
    with at(datetime(2026, 12, 1, 6, tzinfo=UTC)):
        system.after_night(payload("analytics_on_night/first_of_month.json"))


def _look_at_the_market(system: System) -> None:
    asset = payload("market_api/enter_asset.json")
    system.http("PUT", "/assets/AAPL", json.loads(asset["body"]), authorizer=trading.FEED)
    for path, query in (("", {"sector": "energy"}), ("", None), ("/AAPL", None), ("/AAPL/bars", None)):
        assert system.http("GET", f"/assets{path}", query=query, authorizer=trading.FEED).status == 200


def _cancel_one(system: System, mine: Balancing) -> None:
    home = mine.account.home
    asked = system.http("POST", f"{home}/rebalances", {}, headers={"Idempotency-Key": "cancelled"})
    system.http("POST", f"{home}/rebalances/{asked.json['rebalance_id']}/cancel", {})


def _cancel_one_under_way(system: System, mine: Balancing) -> None:
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
    it = Balancing(system, trading.Account(system, system.portfolio("2", {"FALL": 100})))
    it.deposit(1000)
    it.quote(FALL=10, DEAD=10)
    it.buy("FALL", 100, 10)
    system.http("PUT", f"{it.account.home}/allocation", {"allocation": {"FALL": 50, "DEAD": 50}})
    it.settle()
    assert it.now()["status"] == "STALE"
    body = {"reason": "The broker says so.", "holdings": {"FALL": "51"}}
    assert system.http("POST", f"{it.account.home}/resolve", body, authorizer=OPERATOR).status == 200
    it.settle()


def test_every_call_is_granted(production: Synthesised, made: set[Call]) -> None:
    assert made - granted(production) == set()


def test_nothing_is_granted_that_is_never_called(production: Synthesised, made: set[Call]) -> None:
    spare = {each for each in granted(production) - made if each[0] in EXACT}

    assert spare - RARE - OF_FEEDS == set()


def granted(production: Synthesised) -> set[Call]:
    """What the functions' roles may do to our tables and queues, but for what their feeds need."""
    found = {
        (name, action, _resource(resource))
        for name, function in functions_of(production).items()
        for statement in statements_of(production, function)
        for action in strings(statement["Action"])
        for resource in _listed(statement["Resource"])
    }
    return {each for each in found if each[1] in {f"dynamodb:{name}" for name in ACTIONS} | {"sqs:SendMessage"}}


def _listed(resource: Any) -> list[Any]:
    return resource if isinstance(resource, list) else [resource]


def _resource(arn: Any) -> str:
    """`…ExportsOutputFnGetAttPortfolios2F1B7A3CArn…/index/by_user` is `Portfolios/index/by_user`."""
    text = json.dumps(arn)
    name = re.search(r"FnGetAtt([A-Za-z]+?)[0-9A-F]{8}Arn", text)
    index = re.search(r"/index/\w+", text)
    return (name[1] if name else text) + (index[0] if index else "")

"""CPU time of warm invocations, with the SDK's transport answered from memory."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.client import BaseClient
from botocore.httpsession import URLLib3Session

from functions.portfolios_api import handler as api
from functions.rebalancing_on_rebalance_requested import handler as worker
from tests.support import system
from tests.unit.samples import portfolio
from trimtab.contracts.messages import RebalanceRequested
from trimtab.kernel import strict_json
from trimtab.kernel.clock import utc_now
from trimtab.runtime.dynamodb.client import serialize
from trimtab.runtime.observability import logger

ROUNDS = 300
NOWHERE = Path(os.devnull).open("w")  # noqa: SIM115 - log lines cost what they cost, but need not be seen
QUEUES = "https://sqs.us-east-1.amazonaws.com/000000000000"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "PORTFOLIOS_TABLE": system.TABLE,
    "MARKET_TABLE": system.MARKET_TABLE,
    "WATCHES_TABLE": "watches",
    "PAPER_TABLE": "paper",
    "BETTING_TABLE": system.BETTING_TABLE,
    "ANALYTICS_TABLE": "analytics",
    "REBALANCE_REQUESTS_QUEUE_URL": f"{QUEUES}/rebalance-requests",
    "RECALCULATIONS_QUEUE_URL": f"{QUEUES}/recalculations",
    "CHECKS_QUEUE_URL": f"{QUEUES}/checks",
    "EXECUTIONS_QUEUE_URL": f"{QUEUES}/rebalance-executions",
    "SETTLEMENTS_QUEUE_URL": f"{QUEUES}/settlements",
    "VALUATIONS_QUEUE_URL": f"{QUEUES}/valuations",
    "REPORTS_QUEUE_URL": f"{QUEUES}/reports",
    "WATCH_SHARDS": "1",
    "LEASE_SECONDS": "90",
    "MAX_STAKE": "10000.00",
    "MAX_EXPOSURE": "100000.00",
    "LINKS_SECRET_ID": "links",
    "PUBLIC_URL": system.PUBLIC_URL,
    "AUTH": "{}",
    "SENDER_TENANTS": '{"*": ["*"]}',
}


def accept(assets: int) -> tuple[float, float]:
    """Return the CPU seconds of one accepted report, outside and inside the calls of the SDK."""
    weights = _weights(assets)
    body = {"user_id": "1", "new_allocation": weights, "request_id": "r"}
    event = system.gateway_event("POST", "/rebalance", body, authorizer=system.authorized())
    with _answered_from_memory(_portfolio(weights)) as inside:
        api.handler(event, system.LambdaContext())
        inside.clear()
        total = _cpu(lambda: api.handler(event, system.LambdaContext()))
    sdk = sum(inside) / ROUNDS
    return total - sdk, sdk


def worker_against_loop() -> float:
    """Return the CPU time of a batch of ten, relative to the same decisions in a plain loop."""
    weights = _weights(5)
    message = {**system.payload("direct/rebalance_requested.json"), "new_allocation": weights}
    records = [system.sqs_record(json.dumps({**message, "request_id": f"r{n}"}), message_id=str(n)) for n in range(10)]
    context = system.LambdaContext()
    with _answered_from_memory(_portfolio(weights)):
        worker.handler({"Records": records}, context)
        whole = _cpu(lambda: worker.handler({"Records": records}, context), ROUNDS // 10)
        loop = _cpu(lambda: _plain_loop(records), ROUNDS // 10)
    return whole / loop


def _plain_loop(records: list[Any]) -> None:
    for record in records:
        message = RebalanceRequested.model_validate(strict_json.loads(record["body"]))
        worker.report_worker().decide(message, utc_now())


def _cpu(run: Callable[[], Any], rounds: int = ROUNDS) -> float:
    started = time.process_time()
    for _ in range(rounds):
        run()
    return (time.process_time() - started) / rounds


class _Raw:
    """The content of an HTTP answer, streamed like urllib3 does."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        """Return the whole content."""
        yield self._content


@contextmanager
def _answered_from_memory(portfolio: dict[str, Any]) -> Iterator[list[float]]:
    """Answer SDK calls from memory, without a network; the list collects the CPU seconds of each call."""
    inside: list[float] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def timed(self: Any, operation: str, arguments: Any) -> Any:
        started = time.process_time()
        try:
            return call(self, operation, arguments)
        finally:
            inside.append(time.process_time() - started)

    def send(_: Any, request: Any) -> AWSResponse:
        operation = str(request.headers["X-Amz-Target"], "ascii").rpartition(".")[2]
        answers = {
            "GetItem": {"Item": portfolio},
            "BatchGetItem": {"Responses": {system.TABLE: [portfolio]}, "UnprocessedKeys": {}},
            "SendMessage": {"MessageId": "m"},
        }
        content = json.dumps(answers.get(operation, {})).encode()
        headers = HeadersDict({"content-type": "application/x-amz-json-1.0"})
        return AWSResponse(request.url, 200, headers, _Raw(content))  # type: ignore[arg-type]

    with (
        mock.patch.dict(os.environ, ENVIRONMENT),
        mock.patch.object(BaseClient, "_make_api_call", timed),
        mock.patch.object(URLLib3Session, "send", send),
        redirect_stdout(NOWHERE),
    ):
        system.forget_cached()
        for handler in logging.getLogger(logger.name).handlers:
            handler.setStream(NOWHERE)  # type: ignore[attr-defined]
        yield inside
        system.forget_cached()


def _weights(assets: int) -> dict[str, str]:
    first = 100 - 2 * (assets - 1)
    return {f"SYM{n}": "2" if n else str(first) for n in range(assets)}


def _portfolio(weights: dict[str, str]) -> dict[str, Any]:
    target = {f"SYM{n}": Decimal(weight) for n, weight in enumerate(weights.values())}
    return serialize(portfolio(allocation=target).to_item())

"""Every example of the guide for clients of earlier systems, sent as documented and answered as documented."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import boto3
import pytest

from functions.compat_api import rebalancer
from functions.compat_api.tracker import app as tracker
from functions.rebalancing_on_rebalance_requested import handler as worker_function
from tests.support.compat import Example, exact_answer, examples, request_ids
from tests.support.system import System, authorized
from trimtab.betting import wiring as betting_wiring
from trimtab.portfolios.portfolio.model import portfolio_id_of

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
CLOCKS = (betting_wiring, rebalancer, tracker, worker_function)
PRICES = {"AMZN": "850.00", "GODREJIND": "438.57"}
PURCHASES = [("amzn", "AMZN", 100, "1000.00"), ("godrejind", "GODREJIND", 7, "438.57")]
TRACKED = portfolio_id_of("demo", "some-user-uuid", "name-of-the-portfolio")


def _quote(system: System) -> None:
    """Store the prices that the examples of the tracker assume."""
    quotes = [{"symbol": symbol, "price": price, "as_of": NOW.isoformat()} for symbol, price in PRICES.items()]
    market = authorized(scope="market:write")
    assert system.http("POST", "/quotes", {"quotes": quotes}, authorizer=market).status == 202
    system.process_quotes()


def _purchase(system: System, example: Example) -> None:
    """Record the purchases that the guide mentions before the summary."""
    if "/portfolio-summary/" in example.path:
        common = {"user_id": "some-user-uuid", "portfolio": TRACKED, "trade_type": 1, "security_type": "stock"}
        for ref_id, ticker, volume, amount in PURCHASES:
            body = {**common, "ref_id": ref_id, "ticker": ticker, "volume": volume, "amount": amount}
            assert system.http("POST", "/api/v1/trade/", body).status == 201


def _nothing(*_: Any) -> None:
    """Do nothing."""


def _estimate_and_bet(system: System) -> None:
    """Store the estimate that the guide shows, and ten settled bets of `user500`."""
    selection = {"market_id": "market456", "selection_id": "selection789"}
    estimate = {"implied_probability": "0.4", "expected_value": "1.05", "momentum": "0.02", "as_of": NOW.isoformat()}
    message = {"schema_version": 1, "type": "insight.received", "tenant_id": "demo", **selection, **estimate}
    boto3.client("sqs").send_message(QueueUrl=system.insights_url, MessageBody=json.dumps(message))
    system.process_insights()
    bet = {"user_id": "user500", "market_id": "m", "selection_id": "s", "side": "BACK", "stake": 50, "odds": 2.5}
    for number in range(10):
        placed = system.http("POST", "/api/v1/orders", bet, request_id=f"bet-{number}").json["Order"]
        settled = system.http("POST", f"/api/v1/orders/{placed['id']}/settle", {"won": number < 6})
        assert settled.status == 200


SECTIONS: dict[str, tuple[Callable[[System], None], Callable[[System, Example], None]]] = {
    "Rebalancer": (_nothing, _nothing),
    "Portfolio tracker": (_quote, _purchase),
    "Betting service": (_estimate_and_bet, _nothing),
}
"""The sections with examples: what happens before the first example, and before each."""


@contextmanager
def _at_the_documented_time() -> Iterator[None]:
    with ExitStack() as stack:
        for module in CLOCKS:
            stack.enter_context(mock.patch.multiple(module, utc_now=lambda: NOW))
        yield


@pytest.mark.parametrize("section", SECTIONS)
def test_the_examples_of_the_guide_are_answered_as_documented(system: System, section: str) -> None:
    prepare, prepare_example = SECTIONS[section]
    with _at_the_documented_time():
        prepare(system)
        for request_id, example in zip(request_ids(), examples(section), strict=False):
            prepare_example(system, example)
            answer = system.http(example.method, example.path, example.body, query=example.query, request_id=request_id)
            assert exact_answer(answer) == (example.status, example.answer), example.name
            system.drain_queue()

"""The HTTP client of the Alpaca adapter: retries, API keys and the circuit breaker."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from aws_lambda_powertools.utilities.circuit_breaker.base import CircuitBreakerHandler
from pydantic import ValidationError

from tests.support.alpaca import fake_alpaca
from tests.support.brokers import MARKET_TABLE, PAPER_TABLE, an_order, broker_tables
from tests.support.fake_alpaca_broker import AlpacaSetup
from tests.support.logged_metrics import logged_metrics
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.execution import alpaca_http
from trimtab.portfolios.execution.alpaca import AlpacaBroker
from trimtab.portfolios.execution.alpaca_http import alpaca_keys
from trimtab.portfolios.execution.broker import BrokerStatus, OrderNotSent, OutcomeUnknown
from trimtab.portfolios.execution.brokers import BrokerSettings, broker_from
from trimtab.runtime.dynamodb.client import get_item
from trimtab.runtime.metrics import metrics

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

OPEN = BrokerStatus.OPEN


@pytest.fixture(scope="module")
def tables() -> Iterator["DynamoDBClient"]:
    """Tables shared by all tests: each test has a circuit breaker of its own in them."""
    with broker_tables() as client:
        yield client


@pytest.fixture
def alpaca(tables: "DynamoDBClient") -> Iterator[AlpacaSetup]:
    """A server with an unused circuit breaker."""
    with fake_alpaca() as fake:
        fake.prices["AAPL"] = Decimal(10)
        yield AlpacaSetup(fake, tables, circuit=uuid4().hex)


@pytest.mark.parametrize("status", [302, 400, 404, 409])
def test_an_answer_without_a_result_leaves_the_outcome_unknown(alpaca: AlpacaSetup, status: int) -> None:
    alpaca.add_fault("POST", status, headers={"Location": alpaca.fake.url + "/elsewhere"})
    with pytest.raises(OutcomeUnknown, match=str(status)):
        alpaca.broker().submit("p1", an_order())
    assert len(alpaca.fake.requests) == 1, "the keys follow no redirect"


@pytest.mark.parametrize("kind", ["silence", "reset", 500, 429])
def test_reads_are_retried(alpaca: AlpacaSetup, kind: int | str) -> None:
    alpaca.add_fault("GET", kind, times=2)
    assert alpaca.broker().look_up("p1", "o1") is None
    assert alpaca.fake.count("GET") == 3


def test_reads_wait_for_retry_after_up_to_a_limit(alpaca: AlpacaSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    alpaca.add_fault("GET", 429, headers={"Retry-After": "1"})
    begun = time.monotonic()
    alpaca.broker().account("p1")
    assert time.monotonic() - begun >= 1
    monkeypatch.setattr(alpaca_http, "MAX_RETRY_AFTER_SECONDS", 0.01)
    alpaca.add_fault("GET", 429, headers={"Retry-After": "3600"}, times=2)
    alpaca.broker().account("p1")


CALLS: list[Callable[[AlpacaBroker], object]] = [
    lambda broker: broker.look_up("p1", "o1"),
    lambda broker: broker.cancel("p1", "o1"),
    lambda broker: broker.positions("p1"),
    lambda broker: broker.account("p1"),
]


@pytest.mark.parametrize("call", CALLS)
def test_failing_reads_leave_the_outcome_unknown(alpaca: AlpacaSetup, call: Callable[[AlpacaBroker], object]) -> None:
    alpaca.add_fault("GET", 503, times=3)
    with pytest.raises(OutcomeUnknown):
        call(alpaca.broker())


REFUSALS = [
    (403, {"message": "forbidden."}),
    (401, {"code": 40110000, "message": "request is not authorized."}),
    (403, None),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_keys_are_read_once_and_again_when_they_are_refused(alpaca: AlpacaSetup, refusal: Any) -> None:
    broker = alpaca.broker()
    alpaca.fake.refusal_of_keys = refusal
    broker.submit("p1", an_order())
    broker.account("p1")
    assert alpaca.secret_reads == 1
    alpaca.fake.keys = ("key-2", "secret-2")
    alpaca.secret = '{"key_id": "key-2", "secret_key": "secret-2"}'
    assert broker.submit("p1", an_order("o2")).client_order_id == "o2"
    assert broker.account("p1").status == "ACTIVE"
    assert alpaca.secret_reads == 2


def fails(alpaca: AlpacaSetup, times: int) -> None:
    """Make this many failing calls in a row."""
    alpaca.add_fault("POST", 500, times=times)
    for _ in range(times):
        with pytest.raises(OutcomeUnknown) as unknown:
            alpaca.broker().http.call("POST", "/v2/orders", body={})
        assert not isinstance(unknown.value, OrderNotSent)


@pytest.mark.parametrize("trouble", ["429", "keys", "circuit", "connection"])
def test_an_order_without_effect_is_told_apart_from_an_order_of_unknown_outcome(
    alpaca: AlpacaSetup, trouble: str
) -> None:
    match trouble:
        case "429":
            alpaca.add_fault("POST", 429)
        case "keys":
            alpaca.fake.keys = ("key-2", "secret-2")
        case "circuit":
            fails(alpaca, times=5)
        case "connection":
            alpaca.fake.url = "http://127.0.0.1:1"
    with pytest.raises(OrderNotSent):
        alpaca.broker().submit("p1", an_order())
    assert alpaca.fake.orders == {}


def test_a_sent_order_is_unknown_even_if_the_circuit_opens_before_its_look_up(
    alpaca: AlpacaSetup,
) -> None:
    fails(alpaca, times=4)
    alpaca.add_fault("POST", "reset", after=True)
    with pytest.raises(OutcomeUnknown) as unknown:
        alpaca.broker().submit("p1", an_order())
    assert not isinstance(unknown.value, OrderNotSent)
    assert list(alpaca.fake.orders) == ["o1"]


def test_keys_that_stay_refused_leave_the_circuit_closed(alpaca: AlpacaSetup) -> None:
    alpaca.fake.keys = ("key-2", "secret-2")
    broker = alpaca.broker()
    for _ in range(7):
        with pytest.raises(OutcomeUnknown, match="rejects the credentials"):
            broker.account("p1")
    assert alpaca.fake.count("GET") == 7, "the same keys are not sent a second time"


@pytest.mark.parametrize(
    "secret", ["hush", "[]", '{"key_id": "hush"}', '{"key_id": 1, "secret_key": "hush"}', '"hush"']
)
def test_an_invalid_secret_is_reported_without_its_text(alpaca: AlpacaSetup, secret: str) -> None:
    alpaca.secret = secret
    with pytest.raises(ValueError, match="non-empty texts `key_id` and `secret_key`") as raised:
        alpaca.broker().account("p1")
    assert "hush" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert alpaca.fake.requests == []


def test_keys_are_never_logged(
    alpaca: AlpacaSetup, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    errors = []
    with caplog.at_level(logging.DEBUG):
        alpaca.broker().submit("p1", an_order())
        for kind in ("silence", "reset", 500, "rubbish"):
            alpaca.add_fault("POST", kind)
            alpaca.add_fault("GET", kind, times=3)
            with pytest.raises(OutcomeUnknown) as raised:
                alpaca.broker().submit("p1", an_order("o2"))
            errors.append(repr(raised.getrepr(showlocals=False)))
    seen = caplog.text + "".join(capfd.readouterr()) + "".join(errors) + repr(alpaca_keys(alpaca.read_secret).current())
    assert "circuit breaker changed state" in seen
    assert "key-1" not in seen
    assert "secret-1" not in seen


def test_a_circuit_that_opens_is_counted_once(alpaca: AlpacaSetup, capsys: pytest.CaptureFixture[str]) -> None:
    metrics.clear_metrics()
    fails(alpaca, times=5)
    with pytest.raises(OrderNotSent):
        alpaca.broker().submit("p1", an_order())
    metrics.flush_metrics()
    assert logged_metrics(capsys.readouterr().out)["CircuitsOpened"] == [1]


def test_many_threads_share_one_read_of_the_keys(alpaca: AlpacaSetup) -> None:
    broker = alpaca.broker()
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda number: broker.submit("p1", an_order(f"o{number}")), range(24)))
    assert {report.client_order_id for report in reports} == set(alpaca.fake.orders)
    assert len(alpaca.fake.orders) == 24
    assert alpaca.secret_reads == 1


def test_the_circuit_opens_for_all_brokers_and_closes_after_a_success(
    alpaca: AlpacaSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = alpaca.broker(), alpaca.broker()
    alpaca.add_fault("POST", 500, times=9)
    alpaca.add_fault("GET", 500, times=9)
    for number in range(3):
        with pytest.raises(OutcomeUnknown):
            first.submit("p1", an_order(f"o{number}"))
    sent = len(alpaca.fake.requests)
    with pytest.raises(OutcomeUnknown, match="is open"):
        second.account("p1")
    with pytest.raises(OutcomeUnknown, match="is open"):
        first.submit("p1", an_order())
    assert len(alpaca.fake.requests) == sent, "nothing is sent while the circuit is open"
    alpaca.fake.faults.clear()
    later = int(time.time()) + 31
    monkeypatch.setattr(CircuitBreakerHandler, "_now", staticmethod(lambda: later))
    assert first.account("p1").status == "ACTIVE"
    kept = get_item(alpaca.client, PAPER_TABLE, {"pk": "CIRCUITS", "sk": alpaca.circuit})
    assert kept
    assert kept["state"] == "CLOSED", "one good answer is enough"
    assert first.submit("p1", an_order()).status is OPEN


def test_keys_are_sent_over_https_only(alpaca: AlpacaSetup) -> None:
    alpaca.fake.url = "http://api.example"
    with pytest.raises(ValueError, match="https"):
        alpaca.broker()


def test_alpaca_is_configured_by_the_environment(alpaca: AlpacaSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("secretsmanager").create_secret(Name="alpaca", SecretString=alpaca.secret)
    given = {
        "BROKER": "alpaca",
        "MARKET_TABLE": MARKET_TABLE,
        "PAPER_TABLE": PAPER_TABLE,
        "ALPACA_BASE_URL": alpaca.fake.url + "/",
        "ALPACA_SECRET_ID": "alpaca",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    broker = broker_from(BrokerSettings.load(), alpaca.client, utc_now)
    assert broker.account("p1").cash == 100_000
    monkeypatch.delenv("ALPACA_SECRET_ID")
    with pytest.raises(ValidationError, match="ALPACA_SECRET_ID"):
        BrokerSettings.load()

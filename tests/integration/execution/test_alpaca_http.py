"""The HTTP below the Alpaca adapter: repeats, keys, and the circuit."""

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
from tests.support.fake_alpaca_broker import Street
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.execution import alpaca_http
from trimtab.portfolios.execution.alpaca import AlpacaBroker
from trimtab.portfolios.execution.alpaca_http import alpaca_keys
from trimtab.portfolios.execution.broker import BrokerStatus, OrderNotSent, OutcomeUnknown
from trimtab.portfolios.execution.brokers import BrokerSettings, broker_from
from trimtab.runtime.dynamodb.client import get_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

OPEN = BrokerStatus.OPEN


@pytest.fixture(scope="module")
def tables() -> Iterator["DynamoDBClient"]:
    """The tables: made once, since each test has a circuit of its own in them."""
    with broker_tables() as client:
        yield client


@pytest.fixture
def street(tables: "DynamoDBClient") -> Iterator[Street]:
    """A street of its own, with a circuit that nobody has used."""
    with fake_alpaca() as fake:
        fake.prices["AAPL"] = Decimal(10)
        yield Street(fake, tables, circuit=uuid4().hex)


@pytest.mark.parametrize("status", [302, 400, 404, 409])
def test_an_answer_that_decides_nothing_is_unknown(street: Street, status: int) -> None:
    street.goes_wrong("POST", status, headers={"Location": street.fake.url + "/elsewhere"})
    with pytest.raises(OutcomeUnknown, match=str(status)):
        street.broker().submit("p1", an_order())
    assert len(street.fake.requests) == 1, "the keys follow no redirect"


@pytest.mark.parametrize("kind", ["silence", "reset", 500, 429])
def test_reading_is_repeated(street: Street, kind: int | str) -> None:
    street.goes_wrong("GET", kind, times=2)
    assert street.broker().look_up("p1", "o1") is None
    assert street.fake.count("GET") == 3


def test_reading_waits_as_long_as_alpaca_asks_and_no_longer_than_it_can(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    street.goes_wrong("GET", 429, headers={"Retry-After": "1"})
    begun = time.monotonic()
    street.broker().account("p1")
    assert time.monotonic() - begun >= 1
    monkeypatch.setattr(alpaca_http, "MAX_RETRY_AFTER_SECONDS", 0.01)
    street.goes_wrong("GET", 429, headers={"Retry-After": "3600"}, times=2)
    street.broker().account("p1")


CALLS: list[Callable[[AlpacaBroker], object]] = [
    lambda broker: broker.look_up("p1", "o1"),
    lambda broker: broker.cancel("p1", "o1"),
    lambda broker: broker.positions("p1"),
    lambda broker: broker.account("p1"),
]


@pytest.mark.parametrize("call", CALLS)
def test_reading_that_fails_again_and_again_is_unknown(street: Street, call: Callable[[AlpacaBroker], object]) -> None:
    street.goes_wrong("GET", 503, times=3)
    with pytest.raises(OutcomeUnknown):
        call(street.broker())


REFUSALS = [
    (403, {"message": "forbidden."}),
    (401, {"code": 40110000, "message": "request is not authorized."}),
    (403, None),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_keys_are_read_once_and_again_when_they_are_refused(street: Street, refusal: Any) -> None:
    broker = street.broker()
    street.fake.refusal_of_keys = refusal
    broker.submit("p1", an_order())
    broker.account("p1")
    assert street.secret_reads == 1
    street.fake.keys = ("key-2", "secret-2")
    street.secret = '{"key_id": "key-2", "secret_key": "secret-2"}'
    assert broker.submit("p1", an_order("o2")).client_order_id == "o2"
    assert broker.account("p1").status == "ACTIVE"
    assert street.secret_reads == 2


def fails(street: Street, times: int) -> None:
    """So many calls in a row without a usable answer."""
    street.goes_wrong("POST", 500, times=times)
    for _ in range(times):
        with pytest.raises(OutcomeUnknown) as unknown:
            street.broker().http.call("POST", "/v2/orders", body={})
        assert not isinstance(unknown.value, OrderNotSent)


@pytest.mark.parametrize("trouble", ["429", "keys", "circuit", "connection"])
def test_an_order_that_surely_had_no_effect_is_told_from_one_that_may_have_had_one(
    street: Street, trouble: str
) -> None:
    match trouble:
        case "429":
            street.goes_wrong("POST", 429)
        case "keys":
            street.fake.keys = ("key-2", "secret-2")
        case "circuit":
            fails(street, times=5)
        case "connection":
            street.fake.url = "http://127.0.0.1:1"
    with pytest.raises(OrderNotSent):
        street.broker().submit("p1", an_order())
    assert street.fake.orders == {}


def test_an_order_that_was_sent_is_unknown_even_where_the_circuit_opens_before_it_is_looked_up(street: Street) -> None:
    fails(street, times=4)
    street.goes_wrong("POST", "reset", after=True)
    with pytest.raises(OutcomeUnknown) as unknown:
        street.broker().submit("p1", an_order())
    assert not isinstance(unknown.value, OrderNotSent)
    assert list(street.fake.orders) == ["o1"]


def test_keys_that_stay_refused_are_unknown_and_leave_the_circuit_alone(street: Street) -> None:
    street.fake.keys = ("key-2", "secret-2")
    broker = street.broker()
    for _ in range(7):
        with pytest.raises(OutcomeUnknown, match="rejects the credentials"):
            broker.account("p1")
    assert street.fake.count("GET") == 7, "the same keys are not sent a second time"


@pytest.mark.parametrize(
    "secret", ["hush", "[]", '{"key_id": "hush"}', '{"key_id": 1, "secret_key": "hush"}', '"hush"']
)
def test_a_secret_without_keys_is_told_and_not_shown(street: Street, secret: str) -> None:
    street.secret = secret
    with pytest.raises(ValueError, match="non-empty texts `key_id` and `secret_key`") as raised:
        street.broker().account("p1")
    assert "hush" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert street.fake.requests == []


def test_keys_are_never_logged(
    street: Street, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    broker, errors = street.broker(), []
    with caplog.at_level(logging.DEBUG):
        broker.submit("p1", an_order())
        for kind in ("silence", "reset", 500, "rubbish"):
            street.goes_wrong("POST", kind)
            street.goes_wrong("GET", kind, times=3)
            with pytest.raises(OutcomeUnknown) as raised:
                broker.submit("p1", an_order("o2"))
            errors.append(repr(raised.getrepr(showlocals=False)))
    seen = caplog.text + "".join(capfd.readouterr()) + "".join(errors) + repr(alpaca_keys(street.read_secret).current())
    assert "circuit breaker changed state" in seen
    assert "key-1" not in seen
    assert "secret-1" not in seen


def test_many_threads_share_one_reading_of_the_keys(street: Street) -> None:
    broker = street.broker()
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda number: broker.submit("p1", an_order(f"o{number}")), range(24)))
    assert {report.client_order_id for report in reports} == set(street.fake.orders)
    assert len(street.fake.orders) == 24
    assert street.secret_reads == 1


def test_the_circuit_opens_for_everybody_and_closes_after_a_good_answer(
    street: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = street.broker(), street.broker()
    street.goes_wrong("POST", 500, times=9)
    street.goes_wrong("GET", 500, times=9)
    for number in range(3):
        with pytest.raises(OutcomeUnknown):
            first.submit("p1", an_order(f"o{number}"))
    sent = len(street.fake.requests)
    with pytest.raises(OutcomeUnknown, match="is open"):
        second.account("p1")
    with pytest.raises(OutcomeUnknown, match="is open"):
        first.submit("p1", an_order())
    assert len(street.fake.requests) == sent, "nothing is sent while it is open"
    street.fake.faults.clear()
    later = int(time.time()) + 31
    monkeypatch.setattr(CircuitBreakerHandler, "_now", staticmethod(lambda: later))
    assert first.account("p1").status == "ACTIVE"
    kept = get_item(street.client, PAPER_TABLE, {"pk": "CIRCUITS", "sk": street.circuit})
    assert kept
    assert kept["state"] == "CLOSED", "one good answer is enough"
    assert first.submit("p1", an_order()).status is OPEN


def test_keys_travel_over_https_alone(street: Street) -> None:
    street.fake.url = "http://api.example"
    with pytest.raises(ValueError, match="https"):
        street.broker()


def test_alpaca_is_configured_by_the_environment(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    boto3.client("secretsmanager").create_secret(Name="alpaca", SecretString=street.secret)
    given = {
        "BROKER": "alpaca",
        "MARKET_TABLE": MARKET_TABLE,
        "PAPER_TABLE": PAPER_TABLE,
        "ALPACA_BASE_URL": street.fake.url + "/",
        "ALPACA_SECRET_ID": "alpaca",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    broker = broker_from(BrokerSettings.load(), street.client, utc_now)
    assert broker.account("p1").cash == 100_000
    monkeypatch.delenv("ALPACA_SECRET_ID")
    with pytest.raises(ValidationError, match="ALPACA_SECRET_ID"):
        BrokerSettings.load()

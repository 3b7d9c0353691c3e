"""The Alpaca adapter over real HTTP: what it sends, what it makes of answers, and of none."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.support.alpaca import fake_alpaca
from tests.support.brokers import Bench, BrokerContract, an_order, broker_tables, told
from tests.support.fake_alpaca_broker import Street
from trimtab.portfolios.execution.broker import BrokerStatus, OutcomeUnknown

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

OPEN, FILLED, ENDED = BrokerStatus.OPEN, BrokerStatus.FILLED, BrokerStatus.ENDED


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


UNANSWERED = ("silence", "reset", "rubbish", 500, 503, 429)


class TestContract(BrokerContract):
    """Alpaca keeps the promises of a broker."""

    @pytest.fixture
    def bench(self, street: Street) -> Bench:
        """The street as a bench."""
        street.fake.slow.add("SLOW")
        return Bench(street.broker(), lambda symbol, price: street.fake.prices.update({symbol: Decimal(price)}))


def test_an_order_is_sent_in_texts_for_the_day(street: Street) -> None:
    street.broker().submit("p1", an_order("o/1 ü", quantity="1.500000001", limit="12.3"))
    _, path, headers, body = street.fake.requests[-1]
    assert path == "/v2/orders"
    assert body == {
        "symbol": "AAPL",
        "qty": "1.500000001",
        "side": "buy",
        "type": "limit",
        "limit_price": "12.3",
        "time_in_force": "day",
        "client_order_id": "o/1 ü",
    }
    assert (headers["apca-api-key-id"], headers["apca-api-secret-key"]) == ("key-1", "secret-1")
    found = street.broker().look_up("p1", "o/1 ü")
    assert found
    assert found.filled == Decimal("1.500000001")


@pytest.mark.parametrize(
    ("sells", "limit", "sent"),
    [
        (False, "10.019", "10.01"),
        (True, "10.011", "10.02"),
        (False, "10", "10"),
        (False, "1.009", "1"),
        (False, "0.12349", "0.1234"),
        (True, "0.12341", "0.1235"),
        (True, "0.99999", "1"),
        (False, "123456789012.129", "123456789012.12"),
    ],
)
def test_a_limit_is_rounded_to_the_increment_and_never_worse(
    street: Street, sells: bool, limit: str, sent: str
) -> None:
    street.fake.positions["AAPL"] = Decimal(10)
    street.broker().submit("p1", an_order(sells=sells, limit=limit))
    assert street.fake.requests[-1][3]["limit_price"] == sent
    assert "o1" in street.fake.orders


def test_accepted_is_open_and_not_filled(street: Street) -> None:
    report = street.broker().submit("p1", an_order())
    assert told(report, "status", "filled", "amount") == (OPEN, 0, 0)


STATUSES = {
    OPEN: "new accepted pending_new accepted_for_bidding held partially_filled pending_cancel pending_replace "
    "pending_review stopped suspended calculated unheard_of",
    ENDED: "done_for_day canceled expired rejected replaced",
}


@pytest.mark.parametrize(
    ("status", "name"), [(status, name) for status, all in STATUSES.items() for name in all.split()]
)
def test_every_status_has_its_meaning_and_keeps_what_was_filled(
    street: Street, status: BrokerStatus, name: str
) -> None:
    street.fake.slow.add("AAPL")
    broker = street.broker()
    broker.submit("p1", an_order())
    street.fake.fill("o1", "1.5", "10.003333", name)
    report = broker.look_up("p1", "o1")
    assert report
    assert told(report, "status", "filled", "amount") == (status, Decimal("1.5"), Decimal("15.00"))
    assert report.reason == (name if status is ENDED else None)


@pytest.mark.parametrize("name", ["filled", "calculated", "done_for_day"])
def test_wholly_filled_is_filled(street: Street, name: str) -> None:
    broker = street.broker()
    broker.submit("p1", an_order())
    street.fake.orders["o1"]["status"] = name
    report = broker.look_up("p1", "o1")
    assert report
    assert told(report, "status", "reason") == (FILLED, None)


@pytest.mark.parametrize("kind", UNANSWERED)
def test_an_order_that_arrived_without_an_answer_is_found(street: Street, kind: int | str) -> None:
    street.goes_wrong("POST", kind, after=True)
    report = street.broker().submit("p1", an_order())
    assert told(report, "status", "filled") == (FILLED, 3)
    assert (street.fake.count("POST"), street.fake.count("GET")) == (1, 1)


@pytest.mark.parametrize("kind", UNANSWERED)
def test_an_order_that_is_not_found_is_unknown_and_sent_once(street: Street, kind: int | str) -> None:
    street.goes_wrong("POST", kind)
    with pytest.raises(OutcomeUnknown):
        street.broker().submit("p1", an_order())
    assert (street.fake.count("POST"), street.fake.count("GET")) == (1, 1)
    assert street.fake.orders == {}


def test_an_order_is_unknown_where_looking_it_up_fails_too(street: Street) -> None:
    street.goes_wrong("POST", "reset", after=True)
    street.goes_wrong("GET", 500, times=3)
    broker = street.broker()
    with pytest.raises(OutcomeUnknown):
        broker.submit("p1", an_order())
    assert broker.submit("p1", an_order()).filled == 3, "the same id again takes no effect twice"
    assert len(street.fake.orders) == 1


def test_a_repeat_that_is_refused_for_what_its_first_did_is_no_refusal(street: Street) -> None:
    street.fake.positions["AAPL"] = Decimal(3)
    broker = street.broker()
    broker.submit("p1", an_order(sells=True))
    assert street.fake.positions == {}
    assert broker.submit("p1", an_order(sells=True)).status is FILLED


def test_a_duplicate_that_is_not_found_yet_is_unknown(street: Street) -> None:
    broker = street.broker()
    broker.submit("p1", an_order())
    street.goes_wrong("GET", 404)
    with pytest.raises(OutcomeUnknown, match="does not find the order yet"):
        broker.submit("p1", an_order())


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (an_order(quantity="100000"), "insufficient buying power"),
        (an_order(sells=True), "insufficient qty available for order (requested: 3, available: 0)"),
        (an_order(symbol="XX"), 'asset "XX" not found'),
    ],
)
def test_a_refused_order_has_ended_with_alpacas_reason(street: Street, order: Any, reason: str) -> None:
    report = street.broker().submit("p1", order)
    assert told(report, "status", "reason", "filled") == (ENDED, reason, 0)


@pytest.mark.parametrize(("kind", "after"), [(404, True), (422, True), (204, False)])
def test_a_cancellation_that_meets_the_end_is_done(street: Street, kind: int, after: bool) -> None:
    street.fake.slow.add("AAPL")
    broker = street.broker()
    broker.submit("p1", an_order())
    street.goes_wrong("DELETE", kind, after=after)
    broker.cancel("p1", "o1")
    assert street.fake.count("DELETE") == 1


@pytest.mark.parametrize("kind", ["silence", 500, 400])
def test_a_cancellation_without_an_answer_is_unknown(street: Street, kind: int | str) -> None:
    street.fake.slow.add("AAPL")
    broker = street.broker()
    broker.submit("p1", an_order())
    street.goes_wrong("DELETE", kind)
    with pytest.raises(OutcomeUnknown):
        broker.cancel("p1", "o1")
    broker.cancel("p1", "o1")
    assert street.fake.orders["o1"]["status"] == "canceled"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("filled_qty", "NaN"),
        ("filled_qty", "1e9"),
        ("filled_qty", "\u0661"),
        ("filled_avg_price", True),
        ("filled_avg_price", float("nan")),
        ("qty", []),
        ("status", None),
        ("id", ""),
        ("client_order_id", 7),
    ],
)
def test_an_answer_that_cannot_be_read_is_unknown(street: Street, name: str, value: Any) -> None:
    broker = street.broker()
    broker.submit("p1", an_order())
    del street.fake.orders["o1"]["client_order_id"], street.fake.orders["o1"]["id"]
    street.fake.orders["o1"] |= {"client_order_id": "o1", "id": "x", name: value}
    if name == "client_order_id":
        street.fake.orders["o1"][name] = None
    with pytest.raises(OutcomeUnknown, match=name):
        broker.look_up("p1", "o1")


def test_positions_that_are_no_list_are_unknown(street: Street) -> None:
    street.goes_wrong("GET", 200)
    with pytest.raises(OutcomeUnknown, match="positions"):
        street.broker().positions("p1")


def test_numbers_that_are_not_texts_are_exact_all_the_same(street: Street) -> None:
    broker = street.broker()
    street.fake.cash = Decimal("1")
    street.fake.positions = {}
    broker.submit("p1", an_order(quantity="0.1"))
    street.fake.orders["o1"] |= {"filled_qty": 0.1, "filled_avg_price": 10, "commission": 1.25}
    report = broker.look_up("p1", "o1")
    assert report
    assert (str(report.filled), str(report.amount), str(report.fees)) == ("0.100000000", "1.00", "1.25")


def test_positions_may_be_short(street: Street) -> None:
    street.fake.positions = {"AAPL": Decimal("-1.5"), "GOLD": Decimal("2")}
    assert street.broker().positions("p1") == {"AAPL": Decimal("-1.5"), "GOLD": 2}


def test_the_server_keeps_to_the_contract_where_the_adapter_never_goes(street: Street) -> None:
    good = {
        "symbol": "AAPL",
        "qty": "1",
        "side": "buy",
        "type": "market",
        "time_in_force": "day",
        "client_order_id": "o1",
    }
    headers = {"apca-api-key-id": "key-1", "apca-api-secret-key": "secret-1"}

    def status(**changes: Any) -> int:
        body = {name: value for name, value in {**good, **changes}.items() if value is not None}
        return street.fake.reply("POST", "/v2/orders", headers, json.dumps(body).encode())[0]

    bad: list[dict[str, Any]] = [
        {"notional": "5"},
        {"qty": None},
        {"qty": 1},
        {"qty": "1.0000000001"},
        {"qty": "0.5", "time_in_force": "gtc"},
        {"type": "limit"},
        {"type": "limit", "limit_price": "10.001"},
        {"side": "hold"},
        {"client_order_id": "x" * 129},
    ]
    assert [status(**changes) for changes in bad] == [422] * len(bad)
    assert status() == 200
    assert street.fake.reply("GET", "/v2/account", {}, b"") == street.fake.refusal_of_keys

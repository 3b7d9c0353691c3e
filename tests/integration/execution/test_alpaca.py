"""The Alpaca adapter over real HTTP: requests, the mapping of answers, and missing answers."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from tests.support.alpaca import fake_alpaca
from tests.support.brokers import BrokerContract, BrokerSetup, an_order, broker_tables, members_of
from tests.support.fake_alpaca_broker import AlpacaSetup
from trimtab.portfolios.execution.broker import BrokerStatus, OutcomeUnknown
from trimtab.portfolios.rebalancing.orders import RefusalKind

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

OPEN, FILLED, ENDED = BrokerStatus.OPEN, BrokerStatus.FILLED, BrokerStatus.ENDED


@pytest.fixture(scope="module")
def tables() -> Iterator["DynamoDBClient"]:
    """The tables: made once, since each test has a circuit of its own in them."""
    with broker_tables() as client:
        yield client


@pytest.fixture
def alpaca(tables: "DynamoDBClient") -> Iterator[AlpacaSetup]:
    """A server with an unused circuit breaker."""
    with fake_alpaca() as fake:
        fake.prices["AAPL"] = Decimal(10)
        yield AlpacaSetup(fake, tables, circuit=uuid4().hex)


UNANSWERED = ("silence", "reset", "rubbish", 500, 503, 429)


class TestAlpacaContract(BrokerContract):
    """The Alpaca adapter fulfils the contract of a broker."""

    @pytest.fixture
    def broker_setup(self, alpaca: AlpacaSetup) -> BrokerSetup:
        """Provide the broker under test to the contract."""
        alpaca.fake.slow.add("SLOW")
        return BrokerSetup(alpaca.broker(), lambda symbol, price: alpaca.fake.prices.update({symbol: Decimal(price)}))


def test_an_order_is_sent_with_numbers_as_text_and_for_the_day(alpaca: AlpacaSetup) -> None:
    alpaca.broker().submit("p1", an_order("o/1 ü", quantity="1.500000001", limit="12.3"))
    _, path, headers, body = alpaca.fake.requests[-1]
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
    found = alpaca.broker().look_up("p1", "o/1 ü")
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
    alpaca: AlpacaSetup, sells: bool, limit: str, sent: str
) -> None:
    alpaca.fake.positions["AAPL"] = Decimal(10)
    alpaca.broker().submit("p1", an_order(sells=sells, limit=limit))
    assert alpaca.fake.requests[-1][3]["limit_price"] == sent
    assert "o1" in alpaca.fake.orders


def test_an_accepted_order_is_open_and_not_filled(alpaca: AlpacaSetup) -> None:
    report = alpaca.broker().submit("p1", an_order())
    assert members_of(report, "status", "filled", "amount") == (OPEN, 0, 0)


STATUSES = {
    OPEN: "new accepted pending_new accepted_for_bidding held partially_filled pending_cancel pending_replace "
    "pending_review stopped suspended calculated unheard_of",
    ENDED: "done_for_day canceled expired rejected replaced",
}


@pytest.mark.parametrize(
    ("status", "name"), [(status, name) for status, all in STATUSES.items() for name in all.split()]
)
def test_every_status_of_alpaca_is_mapped_and_keeps_the_fill(
    alpaca: AlpacaSetup, status: BrokerStatus, name: str
) -> None:
    alpaca.fake.slow.add("AAPL")
    broker = alpaca.broker()
    broker.submit("p1", an_order())
    alpaca.fake.fill("o1", "1.5", "10.003333", name)
    report = broker.look_up("p1", "o1")
    assert report
    assert members_of(report, "status", "filled", "amount") == (status, Decimal("1.5"), Decimal("15.00"))
    assert report.reason == (name if status is ENDED else None)


@pytest.mark.parametrize("name", ["filled", "calculated", "done_for_day"])
def test_an_order_with_a_complete_fill_is_filled(alpaca: AlpacaSetup, name: str) -> None:
    broker = alpaca.broker()
    broker.submit("p1", an_order())
    alpaca.fake.orders["o1"]["status"] = name
    report = broker.look_up("p1", "o1")
    assert report
    assert members_of(report, "status", "reason") == (FILLED, None)


@pytest.mark.parametrize("kind", UNANSWERED)
def test_an_order_that_arrived_without_an_answer_is_found(alpaca: AlpacaSetup, kind: int | str) -> None:
    alpaca.add_fault("POST", kind, after=True)
    report = alpaca.broker().submit("p1", an_order())
    assert members_of(report, "status", "filled") == (FILLED, 3)
    assert (alpaca.fake.count("POST"), alpaca.fake.count("GET")) == (1, 1)


@pytest.mark.parametrize("kind", UNANSWERED)
def test_an_order_that_is_not_found_is_unknown_and_sent_once(alpaca: AlpacaSetup, kind: int | str) -> None:
    alpaca.add_fault("POST", kind)
    with pytest.raises(OutcomeUnknown):
        alpaca.broker().submit("p1", an_order())
    assert (alpaca.fake.count("POST"), alpaca.fake.count("GET")) == (1, 1)
    assert alpaca.fake.orders == {}


def test_an_order_is_unknown_where_looking_it_up_fails_too(alpaca: AlpacaSetup) -> None:
    alpaca.add_fault("POST", "reset", after=True)
    alpaca.add_fault("GET", 500, times=3)
    broker = alpaca.broker()
    with pytest.raises(OutcomeUnknown):
        broker.submit("p1", an_order())
    assert broker.submit("p1", an_order()).filled == 3, "the same id takes effect once"
    assert len(alpaca.fake.orders) == 1


def test_a_resent_order_refused_because_the_first_took_effect_is_not_refused(alpaca: AlpacaSetup) -> None:
    alpaca.fake.positions["AAPL"] = Decimal(3)
    broker = alpaca.broker()
    broker.submit("p1", an_order(sells=True))
    assert alpaca.fake.positions == {}
    assert broker.submit("p1", an_order(sells=True)).status is FILLED


def test_a_duplicate_that_is_not_found_yet_is_unknown(alpaca: AlpacaSetup) -> None:
    broker = alpaca.broker()
    broker.submit("p1", an_order())
    alpaca.add_fault("GET", 404)
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
def test_a_refused_order_has_ended_with_alpacas_reason(alpaca: AlpacaSetup, order: Any, reason: str) -> None:
    report = alpaca.broker().submit("p1", order)
    assert members_of(report, "status", "reason", "filled") == (ENDED, reason, 0)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("insufficient buying power", RefusalKind.TEMPORARY),
        ("market is closed", RefusalKind.TEMPORARY),
        ('asset "AAPL" not found', RefusalKind.PERMANENT),
        ("asset AAPL is not tradable", RefusalKind.PERMANENT),
        ("asset AAPL is not active", RefusalKind.PERMANENT),
        ('asset "AAPL" is not fractionable', RefusalKind.PERMANENT),
        ("trading of AAPL is restricted", RefusalKind.PERMANENT),
    ],
)
def test_a_refusal_is_permanent_where_the_symbol_cannot_be_traded(
    alpaca: AlpacaSetup, monkeypatch: pytest.MonkeyPatch, message: str, kind: RefusalKind
) -> None:
    monkeypatch.setattr(alpaca.fake, "refusal", lambda _: (422, {"code": 42210000, "message": message}))
    assert alpaca.broker().submit("p1", an_order()).refusal is kind


@pytest.mark.parametrize(("kind", "after"), [(404, True), (422, True), (204, False)])
def test_cancelling_an_order_that_ends_meanwhile_succeeds(alpaca: AlpacaSetup, kind: int, after: bool) -> None:
    alpaca.fake.slow.add("AAPL")
    broker = alpaca.broker()
    broker.submit("p1", an_order())
    alpaca.add_fault("DELETE", kind, after=after)
    broker.cancel("p1", "o1")
    assert alpaca.fake.count("DELETE") == 1


@pytest.mark.parametrize("kind", ["silence", 500, 400])
def test_a_cancellation_without_an_answer_is_unknown(alpaca: AlpacaSetup, kind: int | str) -> None:
    alpaca.fake.slow.add("AAPL")
    broker = alpaca.broker()
    broker.submit("p1", an_order())
    alpaca.add_fault("DELETE", kind)
    with pytest.raises(OutcomeUnknown):
        alpaca.broker().cancel("p1", "o1")
    broker.cancel("p1", "o1")
    assert alpaca.fake.orders["o1"]["status"] == "canceled"


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
def test_an_invalid_answer_leaves_the_outcome_unknown(alpaca: AlpacaSetup, name: str, value: Any) -> None:
    broker = alpaca.broker()
    broker.submit("p1", an_order())
    del alpaca.fake.orders["o1"]["client_order_id"], alpaca.fake.orders["o1"]["id"]
    alpaca.fake.orders["o1"] |= {"client_order_id": "o1", "id": "x", name: value}
    if name == "client_order_id":
        alpaca.fake.orders["o1"][name] = None
    with pytest.raises(OutcomeUnknown, match=name):
        broker.look_up("p1", "o1")


def test_positions_that_are_no_list_leave_the_outcome_unknown(alpaca: AlpacaSetup) -> None:
    alpaca.add_fault("GET", 200)
    with pytest.raises(OutcomeUnknown, match="positions"):
        alpaca.broker().positions("p1")


def test_json_numbers_are_read_exactly(alpaca: AlpacaSetup) -> None:
    broker = alpaca.broker()
    alpaca.fake.cash = Decimal("1")
    alpaca.fake.positions = {}
    broker.submit("p1", an_order(quantity="0.1"))
    alpaca.fake.orders["o1"] |= {"filled_qty": 0.1, "filled_avg_price": 10, "commission": 1.25}
    report = broker.look_up("p1", "o1")
    assert report
    assert (str(report.filled), str(report.amount), str(report.fees)) == ("0.100000000", "1.00", "1.25")


def test_positions_may_be_short(alpaca: AlpacaSetup) -> None:
    alpaca.fake.positions = {"AAPL": Decimal("-1.5"), "GOLD": Decimal("2")}
    assert alpaca.broker().positions("p1") == {"AAPL": Decimal("-1.5"), "GOLD": 2}


def test_the_fake_server_refuses_invalid_orders_that_the_adapter_never_sends(alpaca: AlpacaSetup) -> None:
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
        return alpaca.fake.reply("POST", "/v2/orders", headers, json.dumps(body).encode())[0]

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
    assert alpaca.fake.reply("GET", "/v2/account", {}, b"") == alpaca.fake.refusal_of_keys

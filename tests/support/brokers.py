"""Shared by the tests of brokers: their tables in moto, and the contract that every broker fulfils."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
from botocore.loaders import create_loader
from moto import mock_aws

from infra.tables import MARKET, TableShape
from trimtab.portfolios.execution.broker import Broker, BrokerOrder, BrokerReport, BrokerStatus
from trimtab.portfolios.portfolio.holdings import Side

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PAPER_TABLE, MARKET_TABLE = "paper", "market"
_LOADER = create_loader()


@contextmanager
def broker_tables() -> Iterator["DynamoDBClient"]:
    """Provide the empty tables `paper` and `market`, and a client."""
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_SERVICE_NAME": "test",
    }
    loader = mock.patch("botocore.session.create_loader", return_value=_LOADER)
    with mock.patch.dict("os.environ", environment), mock_aws(), loader:
        client = boto3.client("dynamodb")
        client.create_table(**TableShape(stream=False).create_arguments(PAPER_TABLE))
        client.create_table(**MARKET.create_arguments(MARKET_TABLE))
        yield client


def an_order(
    client_order_id: str = "o1",
    symbol: str = "AAPL",
    quantity: str = "3",
    *,
    sells: bool = False,
    limit: str | None = None,
) -> BrokerOrder:
    """Return an order, by default a purchase of three AAPL at any price."""
    side = Side.SELL if sells else Side.BUY
    return BrokerOrder(client_order_id, symbol, side, Decimal(quantity), Decimal(limit) if limit else None)


def members_of(report: BrokerReport, *names: str) -> tuple[Any, ...]:
    """Return the named members of a report."""
    return tuple(getattr(report, name) for name in names)


@dataclass
class BrokerSetup:
    """A broker under test with a function that sets a price there. Orders for SLOW stay open."""

    broker: Broker
    set_price: Callable[[str, str], None]

    def submit(self, order: BrokerOrder) -> BrokerReport:
        """Submit an order and look up its report."""
        self.broker.submit("p1", order)
        return self.look_up(order.client_order_id)

    def look_up(self, client_order_id: str = "o1") -> BrokerReport:
        """Look up the report of an order that arrived."""
        report = self.broker.look_up("p1", client_order_id)
        assert report is not None
        return report


class BrokerContract:
    """The contract of every broker; a subclass provides the fixture `broker_setup`."""

    def test_an_order_is_filled_and_its_amount_is_money(self, broker_setup: BrokerSetup) -> None:
        broker_setup.set_price("AAPL", "10.005")
        report = broker_setup.submit(an_order(quantity="1.234567891"))
        assert members_of(report, "status", "filled") == (BrokerStatus.FILLED, Decimal("1.234567891"))
        assert str(report.amount) == "12.35"
        assert members_of(report, "fees", "reason") == (0, None)
        assert report.broker_id

    def test_an_id_takes_effect_once_whatever_comes_with_it_later(self, broker_setup: BrokerSetup) -> None:
        broker_setup.set_price("AAPL", "10")
        first = broker_setup.submit(an_order())
        broker_setup.set_price("AAPL", "20")
        assert broker_setup.broker.submit("p1", an_order()) == first
        assert broker_setup.broker.submit("p1", an_order(quantity="5")) == first
        assert broker_setup.broker.positions("p1") == {"AAPL": 3}

    def test_what_never_arrived_is_not_found_and_can_be_cancelled(self, broker_setup: BrokerSetup) -> None:
        assert broker_setup.broker.look_up("p1", "o1") is None
        broker_setup.broker.cancel("p1", "o1")
        assert broker_setup.broker.look_up("p1", "o1") is None

    def test_a_limit_is_no_price(self, broker_setup: BrokerSetup) -> None:
        broker_setup.set_price("AAPL", "10")
        assert broker_setup.submit(an_order(limit="12")).amount == 30
        assert broker_setup.submit(an_order("o2", sells=True, limit="8")).amount == 30

    def test_a_cancelled_order_has_ended_and_cancelling_it_again_changes_nothing(
        self, broker_setup: BrokerSetup
    ) -> None:
        broker_setup.set_price("SLOW", "10")
        assert broker_setup.submit(an_order(symbol="SLOW")).status is BrokerStatus.OPEN
        broker_setup.broker.cancel("p1", "o1")
        ended = broker_setup.look_up()
        assert members_of(ended, "status", "filled") == (BrokerStatus.ENDED, 0)
        assert ended.reason
        broker_setup.broker.cancel("p1", "o1")
        assert broker_setup.look_up() == ended

    def test_a_filled_order_cannot_be_cancelled(self, broker_setup: BrokerSetup) -> None:
        broker_setup.set_price("AAPL", "10")
        filled = broker_setup.submit(an_order())
        broker_setup.broker.cancel("p1", "o1")
        assert broker_setup.look_up() == filled

    def test_what_cannot_be_traded_has_ended_with_its_reason(self, broker_setup: BrokerSetup) -> None:
        report = broker_setup.broker.submit("p1", an_order(symbol="NONE"))
        assert members_of(report, "status", "filled", "amount") == (BrokerStatus.ENDED, 0, 0)
        assert report.reason

    def test_positions_and_cash_are_what_the_fills_made_of_them(self, broker_setup: BrokerSetup) -> None:
        broker_setup.set_price("AAPL", "10")
        broker_setup.set_price("GOLD", "7")
        before = broker_setup.broker.account("p1")
        for order in (an_order(), an_order("o2", "GOLD"), an_order("o3", quantity="1", sells=True)):
            broker_setup.submit(order)
        broker_setup.submit(an_order("o4", "GOLD", sells=True))
        after = broker_setup.broker.account("p1")
        assert broker_setup.broker.positions("p1") == {"AAPL": 2}
        assert after.cash - before.cash == -20
        assert (after.account, after.currency, after.status) == ("p1", "USD", "ACTIVE")

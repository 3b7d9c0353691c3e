"""The paper broker over moto: fills at the quote, and what its scenario makes go wrong."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.support.brokers import (
    MARKET_TABLE,
    PAPER_TABLE,
    Bench,
    BrokerContract,
    an_order,
    broker_tables,
    told,
)
from trimtab.contracts import quotes
from trimtab.contracts.quotes import Quote
from trimtab.kernel.retry import ConditionFailed
from trimtab.portfolios.execution import paper
from trimtab.portfolios.execution.broker import BrokerReport, BrokerStatus, OutcomeUnknown
from trimtab.portfolios.execution.brokers import BrokerSettings, broker_from
from trimtab.portfolios.execution.paper import PaperBroker
from trimtab.portfolios.execution.paper_scenario import ScenarioError, parse_scenario
from trimtab.runtime.dynamodb.client import deserialize, get_item, serialize
from trimtab.runtime.dynamodb.writes import put_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

ROOT = Path(__file__).parents[3]
OPEN, FILLED, ENDED = BrokerStatus.OPEN, BrokerStatus.FILLED, BrokerStatus.ENDED
NEVER_FILLED = {"match": {"symbol": "SLOW"}, "fill_percent": 0, "ends": False}


@dataclass
class Desk:
    """A paper broker whose prices and clock a test sets; AAPL costs 10, GOLD 7."""

    client: "DynamoDBClient"
    prices: dict[str, Decimal] = field(default_factory=lambda: {"AAPL": Decimal(10), "GOLD": Decimal(7)})
    now: datetime = datetime(2026, 1, 5, 15, tzinfo=UTC)
    rules: tuple[Any, ...] = ()
    before_price: Callable[[], None] = lambda: None

    @property
    def broker(self) -> PaperBroker:
        """A fresh one, as each invocation has it."""
        scenario = parse_scenario(json.dumps(self.rules))
        return PaperBroker(self.client, PAPER_TABLE, self.price, lambda: self.now, scenario)

    def price(self, symbol: str) -> Decimal | None:
        """The stored quote."""
        meanwhile, self.before_price = self.before_price, lambda: None
        meanwhile()
        return self.prices.get(symbol)

    def submit(self, *parts: str, **options: Any) -> BrokerReport:
        """Submits an order for `p1`."""
        return self.broker.submit("p1", an_order(*parts, **options))

    def found(self, client_order_id: str = "o1") -> BrokerReport:
        """What is found of an order that arrived."""
        report = self.broker.look_up("p1", client_order_id)
        assert report is not None
        return report

    def submit_and_lose_the_answer(self) -> None:
        """Submits `o1` and hears nothing."""
        with pytest.raises(OutcomeUnknown):
            self.submit()


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A desk with empty tables."""
    with broker_tables() as client:
        yield Desk(client)


class TestContract(BrokerContract):
    """The paper broker keeps the promises of a broker."""

    @pytest.fixture
    def bench(self, desk: Desk) -> Bench:
        """The desk as a bench."""
        desk.prices, desk.rules = {}, (NEVER_FILLED,)
        return Bench(desk.broker, lambda symbol, price: desk.prices.update({symbol: Decimal(price)}))


@pytest.mark.parametrize(
    ("sells", "limit", "met"),
    [(False, "9.99", False), (False, "10", True), (True, "10", True), (True, "10.000000001", False)],
)
def test_a_limit_that_the_quote_does_not_meet_ends_the_order(desk: Desk, sells: bool, limit: str, met: bool) -> None:
    report = desk.submit(sells=sells, limit=limit)
    assert told(report, "status", "reason") == ((FILLED, None) if met else (ENDED, "limit_not_met"))
    assert told(report, "filled", "amount") == ((3, 30) if met else (0, 0))


def test_without_a_quote_it_has_ended_for_ever(desk: Desk) -> None:
    first = desk.submit(symbol="NONE")
    assert told(first, "status", "reason") == (ENDED, "no_quote")
    desk.prices["NONE"] = Decimal(1)
    assert desk.submit(symbol="NONE") == first


def test_accounts_know_nothing_of_each_other(desk: Desk) -> None:
    desk.submit()
    assert desk.broker.look_up("p2", "o1") is None
    assert desk.broker.positions("p2") == {}
    assert desk.broker.account("p2").cash == 0


def test_latency_keeps_it_open_and_then_it_is_filled_at_the_quote_of_that_moment(desk: Desk) -> None:
    desk.rules = ({"latency_seconds": "1.5"},)
    assert desk.submit().status is OPEN
    desk.now += timedelta(seconds=1.4)
    assert desk.found().status is OPEN
    assert desk.broker.positions("p1") == {}
    desk.now, desk.prices["AAPL"], desk.rules = desk.now + timedelta(seconds=0.1), Decimal(11), ()
    filled = desk.found()
    assert told(filled, "status", "amount") == (FILLED, 33)
    desk.prices["AAPL"] = Decimal(12)
    assert desk.found() == filled
    assert desk.submit() == filled


def test_a_cancellation_ends_what_waits_and_comes_too_late_for_what_is_due(desk: Desk) -> None:
    desk.rules = ({"latency_seconds": 10},)
    desk.submit("o1")
    desk.submit("o2")
    desk.broker.cancel("p1", "o1")
    desk.now += timedelta(seconds=10)
    desk.broker.cancel("p1", "o2")
    assert told(desk.found("o1"), "status", "reason") == (ENDED, "cancelled")
    assert desk.found("o2").status is FILLED


def test_a_partial_fill_ends_or_stays_open_until_it_is_cancelled(desk: Desk) -> None:
    desk.rules = (
        {"match": {"symbol": "GOLD"}, "fill_percent": "33.3333"},
        {"fill_percent": 50, "ends": False, "fee": "0.35"},
    )
    gold = desk.submit("o1", "GOLD", "1")
    assert told(gold, "status", "filled", "amount") == (ENDED, Decimal("0.333333"), Decimal("2.33"))
    assert gold.reason == "partial_fill"
    still = desk.submit("o2")
    assert told(still, "status", "filled", "amount", "fees") == (OPEN, Decimal("1.5"), 15, Decimal("0.35"))
    desk.broker.cancel("p1", "o2")
    assert told(desk.found("o2"), "status", "filled") == (ENDED, Decimal("1.5"))
    assert desk.broker.account("p1").cash == Decimal("-17.68")


def test_a_part_is_never_the_whole(desk: Desk) -> None:
    desk.rules = ({"fill_percent": "99.9999"},)
    report = desk.submit(quantity="0.000000001")
    assert told(report, "status", "filled", "amount") == (ENDED, 0, 0)


def test_a_refusal_has_its_reason_and_no_fill(desk: Desk) -> None:
    desk.rules = ({"match": {"side": "SELL", "account": "p1"}, "refuse": "halted"},)
    refused = desk.submit(sells=True)
    assert told(refused, "status", "reason", "filled") == (ENDED, "halted", 0)
    assert desk.submit("o2").status is FILLED
    assert desk.broker.submit("p2", an_order(sells=True)).status is FILLED


def test_the_price_factor_moves_the_price_and_the_limit_holds_against_it(desk: Desk) -> None:
    desk.rules = ({"price_factor": "1.1"},)
    assert desk.submit("o1", limit="11").amount == 33
    assert desk.submit("o2", limit="10.99").reason == "limit_not_met"


def test_the_first_rule_that_fits_is_the_rule(desk: Desk) -> None:
    desk.rules = (
        {"match": {"client_order_id": "o2"}, "refuse": "second"},
        {"match": {"symbol": "AAPL", "side": "BUY"}, "refuse": "first"},
        {"refuse": "last"},
    )
    orders = [desk.submit("o1"), desk.submit("o2"), desk.submit("o3", "GOLD")]
    assert [report.reason for report in orders] == ["first", "second", "last"]


def test_nth_counts_the_orders_of_an_account_in_a_symbol(desk: Desk) -> None:
    desk.rules = ({"match": {"symbol": "AAPL", "nth": 2}, "refuse": "second"},)
    reasons = [desk.submit(name, symbol).reason for name, symbol in (("a", "AAPL"), ("b", "GOLD"), ("c", "AAPL"))]
    assert reasons == [None, None, "second"]
    assert desk.submit("d").reason is None
    assert desk.submit("c").reason == "second", "a repeat is no further order"


def test_a_time_out_before_leaves_no_order_and_its_count_outlives_the_invocation(desk: Desk) -> None:
    desk.rules = ({"time_out": "before", "times": 2, "match": {"nth": 1}},)
    for _ in range(2):
        desk.submit_and_lose_the_answer()
        assert desk.broker.look_up("p1", "o1") is None
    assert desk.broker.positions("p1") == {}
    assert desk.submit().status is FILLED


def test_a_time_out_after_leaves_the_order(desk: Desk) -> None:
    desk.rules = ({"time_out": "after", "fill_percent": 50},)
    desk.submit_and_lose_the_answer()
    assert told(desk.found(), "status", "filled") == (ENDED, Decimal("1.5"))
    assert desk.submit() == desk.found()


def test_of_two_submissions_at_once_one_takes_effect_and_both_report_it(desk: Desk) -> None:
    reports: list[BrokerReport] = []

    def overtake() -> None:
        desk.prices["AAPL"] = Decimal(99)
        reports.append(desk.submit())
        desk.prices["AAPL"] = Decimal(10)

    desk.before_price = overtake
    assert desk.submit() == reports[0]
    assert desk.broker.positions("p1") == {"AAPL": 3}


def test_of_two_lookers_one_executes_and_both_see_it(desk: Desk) -> None:
    desk.rules = ({"latency_seconds": 1},)
    desk.submit()
    desk.now += timedelta(seconds=1)
    desk.before_price = lambda: desk.broker.cancel("p1", "o1")
    assert told(desk.found(), "status", "amount") == (FILLED, 30)


def test_a_conflict_that_leaves_no_order_is_unknown(desk: Desk) -> None:
    broker = desk.broker
    with mock.patch.object(paper, "put_item", side_effect=ConditionFailed({})), pytest.raises(OutcomeUnknown):
        broker.submit("p1", an_order())
    assert broker.look_up("p1", "o1") is None


def test_two_time_outs_at_once_are_no_effect(desk: Desk) -> None:
    desk.rules = ({"time_out": "before"},)
    stale = mock.patch.object(paper, "get_item", return_value=None)
    desk.submit_and_lose_the_answer()
    with stale:
        desk.submit_and_lose_the_answer()
    assert desk.broker.look_up("p1", "o1") is None


def test_positions_are_read_to_the_last_page(desk: Desk) -> None:
    for number in range(4):
        desk.submit(f"o{number}")
        item = get_item(desk.client, PAPER_TABLE, {"pk": "ACCOUNT#p1", "sk": f"ORDER#o{number}"})
        assert item
        desk.client.put_item(TableName=PAPER_TABLE, Item=serialize(item | {"padding": "x" * 390_000}))
    calls: list[Any] = []
    desk.client.meta.events.register("provide-client-params.dynamodb.Query", lambda params, **_: calls.append(params))
    assert desk.broker.positions("p1") == {"AAPL": 12}
    assert len(calls) > 1
    assert all(each["ConsistentRead"] for each in calls)


def test_every_item_is_written_on_its_version(desk: Desk) -> None:
    desk.rules = ({"latency_seconds": 1, "time_out": "before"},)
    desk.submit_and_lose_the_answer()
    desk.submit()
    desk.now += timedelta(seconds=1)
    desk.found()
    items = [deserialize(item) for item in desk.client.scan(TableName=PAPER_TABLE)["Items"]]
    assert {item["sk"]: item["version"] for item in items} == {"ORDER#o1": 2, "TIME_OUTS#o1": 1}


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": ""}}, "PutItem"),
        ReadTimeoutError(endpoint_url="x"),
    ],
)
def test_what_the_table_raises_is_let_through(desk: Desk, error: Exception) -> None:
    broker = desk.broker
    with mock.patch.object(desk.client, "put_item", side_effect=error), pytest.raises(type(error)):
        broker.submit("p1", an_order())
    with mock.patch.object(desk.client, "get_item", side_effect=error), pytest.raises(type(error)):
        broker.look_up("p1", "o1")


BAD_SCENARIOS: list[tuple[str, str]] = [
    ("", "Invalid JSON"),
    ("{}", "the list"),
    ('[{"time_out": "never"}]', "rule 1.time_out"),
    ('[{}, {"match": {"symbl": "A"}}]', "rule 2.match.symbl"),
    ('[{"times": 2}]', "only together with `time_out`"),
    ('[{"ends": true}]', "only together with `fill_percent`"),
    ('[{"refuse": "x", "fee": 1}]', "excludes"),
    ('[{"fill_percent": 101}]', "rule 1.fill_percent"),
    ('[{"fill_percent": 1e3}]', "plain digits"),
    ('[{"fee": "1.001"}]', "at most 2 decimals"),
    ('[{"fee": NaN}]', "not a permitted number"),
    ('[{"price_factor": 0}]', "rule 1.price_factor"),
    ('[{"match": {"nth": 0}}]', "rule 1.match.nth"),
    ('[{"match": {"side": "buy"}}]', "rule 1.match.side"),
]


@pytest.mark.parametrize(("text", "fault"), BAD_SCENARIOS)
def test_a_bad_scenario_is_told_by_rule_and_member(text: str, fault: str) -> None:
    with pytest.raises(ScenarioError, match="The paper broker's scenario: ") as raised:
        parse_scenario(text)
    assert fault in str(raised.value)


def test_the_example_scenarios_are_scenarios() -> None:
    files = sorted((ROOT / "infra/local/scenarios").glob("*.json"))
    assert len(files) == 3
    assert all(parse_scenario(file.read_text()) for file in files)


def test_paper_is_the_broker_unless_alpaca_is_configured(desk: Desk) -> None:
    put_item(desk.client, MARKET_TABLE, quotes.to_item(Quote("AAPL", Decimal("4.5"), desk.now, "feed", version=1)))
    settings = BrokerSettings(market_table=MARKET_TABLE, paper_table=PAPER_TABLE, paper_scenario='[{"fee": 1}]')
    broker = broker_from(settings, desk.client, lambda: desk.now)
    report = broker.submit("p1", an_order())
    assert told(report, "amount", "fees") == (Decimal("13.50"), 1)
    assert broker.submit("p1", an_order("o2", "NONE")).reason == "no_quote"


def test_a_cold_start_pays_for_the_broker_in_use_alone() -> None:
    code = """
import sys
from trimtab.kernel.retry import ConditionFailed
from trimtab.portfolios.execution.brokers import BrokerSettings, broker_from
broker_from(BrokerSettings(market_table="m", paper_table="p"), object(), lambda: None)
print([name for name in sys.modules if "alpaca" in name or "circuit" in name])
"""
    path = str(ROOT / "layers/core/python")
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"[]\n", b"")

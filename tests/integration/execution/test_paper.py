"""The paper broker over moto: fills at the stored quote, and the faults of scenarios."""

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
    BrokerContract,
    BrokerSetup,
    an_order,
    broker_tables,
    members_of,
)
from trimtab.contracts.quotes import Quote
from trimtab.kernel.retry import ConditionFailed
from trimtab.portfolios.execution import paper
from trimtab.portfolios.execution.broker import BrokerReport, BrokerStatus, BrokerTerms, OutcomeUnknown
from trimtab.portfolios.execution.brokers import BrokerSettings, BrokerTermsSettings, broker_from
from trimtab.portfolios.execution.paper import PaperBroker
from trimtab.portfolios.execution.paper_scenario import ScenarioError, parse_scenario
from trimtab.portfolios.rebalancing.orders import NO_COMMISSION, RefusalKind
from trimtab.runtime.dynamodb.client import deserialize, get_item, serialize
from trimtab.runtime.dynamodb.writes import put_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

ROOT = Path(__file__).parents[3]
OPEN, FILLED, ENDED = BrokerStatus.OPEN, BrokerStatus.FILLED, BrokerStatus.ENDED
NEVER_FILLED = {"match": {"symbol": "SLOW"}, "fill_percent": 0, "ends": False}


@dataclass
class PaperSetup:
    """A paper broker with prices and a clock that a test sets; AAPL costs 10, GOLD 7."""

    client: "DynamoDBClient"
    prices: dict[str, Decimal] = field(default_factory=lambda: {"AAPL": Decimal(10), "GOLD": Decimal(7)})
    now: datetime = datetime(2026, 1, 5, 15, tzinfo=UTC)
    rules: tuple[Any, ...] = ()
    before_price: Callable[[], None] = lambda: None

    @property
    def broker(self) -> PaperBroker:
        """Return a new broker, like each invocation."""
        scenario = parse_scenario(json.dumps(self.rules))
        return PaperBroker(self.client, PAPER_TABLE, self.price, lambda: self.now, scenario)

    def price(self, symbol: str) -> Decimal | None:
        """Return the stored quote."""
        meanwhile, self.before_price = self.before_price, lambda: None
        meanwhile()
        return self.prices.get(symbol)

    def submit(self, *parts: str, **options: Any) -> BrokerReport:
        """Submit an order of the account `p1`."""
        return self.broker.submit("p1", an_order(*parts, **options))

    def look_up_order(self, client_order_id: str = "o1") -> BrokerReport:
        """Look up an order that arrived."""
        report = self.broker.look_up("p1", client_order_id)
        assert report is not None
        return report

    def submit_without_answer(self) -> None:
        """Submit `o1` and lose the answer."""
        with pytest.raises(OutcomeUnknown):
            self.submit()


@pytest.fixture
def setup() -> Iterator[PaperSetup]:
    """A set-up with empty tables."""
    with broker_tables() as client:
        yield PaperSetup(client)


class TestPaperContract(BrokerContract):
    """The paper broker fulfils the contract of a broker."""

    @pytest.fixture
    def broker_setup(self, setup: PaperSetup) -> BrokerSetup:
        """Provide the broker under test to the contract."""
        setup.prices, setup.rules = {}, (NEVER_FILLED,)
        return BrokerSetup(setup.broker, lambda symbol, price: setup.prices.update({symbol: Decimal(price)}))


@pytest.mark.parametrize(
    ("sells", "limit", "met"),
    [(False, "9.99", False), (False, "10", True), (True, "10", True), (True, "10.000000001", False)],
)
def test_a_limit_not_met_by_the_quote_ends_the_order(setup: PaperSetup, sells: bool, limit: str, met: bool) -> None:
    report = setup.submit(sells=sells, limit=limit)
    assert members_of(report, "status", "reason") == ((FILLED, None) if met else (ENDED, "limit_not_met"))
    assert members_of(report, "filled", "amount") == ((3, 30) if met else (0, 0))


def test_an_order_without_a_quote_ends_for_good(setup: PaperSetup) -> None:
    first = setup.submit(symbol="NONE")
    assert members_of(first, "status", "reason") == (ENDED, "no_quote")
    setup.prices["NONE"] = Decimal(1)
    assert setup.submit(symbol="NONE") == first


def test_accounts_are_separate(setup: PaperSetup) -> None:
    setup.submit()
    assert setup.broker.look_up("p2", "o1") is None
    assert setup.broker.positions("p2") == {}
    assert setup.broker.account("p2").cash == 0


def test_an_order_stays_open_for_its_latency_and_is_filled_at_the_later_quote(setup: PaperSetup) -> None:
    setup.rules = ({"latency_seconds": "1.5"},)
    assert setup.submit().status is OPEN
    setup.now += timedelta(seconds=1.4)
    assert setup.look_up_order().status is OPEN
    assert setup.broker.positions("p1") == {}
    setup.now, setup.prices["AAPL"], setup.rules = setup.now + timedelta(seconds=0.1), Decimal(11), ()
    filled = setup.look_up_order()
    assert members_of(filled, "status", "amount") == (FILLED, 33)
    setup.prices["AAPL"] = Decimal(12)
    assert setup.look_up_order() == filled
    assert setup.submit() == filled


def test_a_cancellation_ends_a_waiting_order_and_is_too_late_for_a_due_one(setup: PaperSetup) -> None:
    setup.rules = ({"latency_seconds": 10},)
    setup.submit("o1")
    setup.submit("o2")
    setup.broker.cancel("p1", "o1")
    setup.now += timedelta(seconds=10)
    setup.broker.cancel("p1", "o2")
    assert members_of(setup.look_up_order("o1"), "status", "reason") == (ENDED, "cancelled")
    assert setup.look_up_order("o2").status is FILLED


def test_an_order_with_a_partial_fill_ends_or_stays_open_until_cancelled(setup: PaperSetup) -> None:
    setup.rules = (
        {"match": {"symbol": "GOLD"}, "fill_percent": "33.3333"},
        {"fill_percent": 50, "ends": False, "fee": "0.35"},
    )
    gold = setup.submit("o1", "GOLD", "1")
    assert members_of(gold, "status", "filled", "amount") == (ENDED, Decimal("0.333333"), Decimal("2.33"))
    assert gold.reason == "partial_fill"
    still = setup.submit("o2")
    assert members_of(still, "status", "filled", "amount", "fees") == (OPEN, Decimal("1.5"), 15, Decimal("0.35"))
    setup.broker.cancel("p1", "o2")
    assert members_of(setup.look_up_order("o2"), "status", "filled") == (ENDED, Decimal("1.5"))
    assert setup.broker.account("p1").cash == Decimal("-17.68")


def test_a_part_is_never_the_whole(setup: PaperSetup) -> None:
    setup.rules = ({"fill_percent": "99.9999"},)
    report = setup.submit(quantity="0.000000001")
    assert members_of(report, "status", "filled", "amount") == (ENDED, 0, 0)


def test_a_refusal_has_its_reason_and_no_fill(setup: PaperSetup) -> None:
    setup.rules = ({"match": {"side": "SELL", "account": "p1"}, "refuse": "halted"},)
    refused = setup.submit(sells=True)
    assert members_of(refused, "status", "reason", "filled") == (ENDED, "halted", 0)
    assert setup.submit("o2").status is FILLED
    assert setup.broker.submit("p2", an_order(sells=True)).status is FILLED


def test_the_limit_applies_to_the_price_with_its_factor(setup: PaperSetup) -> None:
    setup.rules = ({"price_factor": "1.1"},)
    assert setup.submit("o1", limit="11").amount == 33
    assert setup.submit("o2", limit="10.99").reason == "limit_not_met"


def test_the_first_matching_rule_applies(setup: PaperSetup) -> None:
    setup.rules = (
        {"match": {"client_order_id": "o2"}, "refuse": "second"},
        {"match": {"symbol": "AAPL", "side": "BUY"}, "refuse": "first"},
        {"refuse": "last"},
    )
    orders = [setup.submit("o1"), setup.submit("o2"), setup.submit("o3", "GOLD")]
    assert [report.reason for report in orders] == ["first", "second", "last"]


def test_nth_counts_the_orders_of_an_account_in_a_symbol(setup: PaperSetup) -> None:
    setup.rules = ({"match": {"symbol": "AAPL", "nth": 2}, "refuse": "second"},)
    reasons = [setup.submit(name, symbol).reason for name, symbol in (("a", "AAPL"), ("b", "GOLD"), ("c", "AAPL"))]
    assert reasons == [None, None, "second"]
    assert setup.submit("d").reason is None
    assert setup.submit("c").reason == "second", "a repeat is no further order"


def test_a_time_out_before_arrival_leaves_no_order_and_is_counted_across_invocations(setup: PaperSetup) -> None:
    setup.rules = ({"time_out": "before", "times": 2, "match": {"nth": 1}},)
    for _ in range(2):
        setup.submit_without_answer()
        assert setup.broker.look_up("p1", "o1") is None
    assert setup.broker.positions("p1") == {}
    assert setup.submit().status is FILLED


def test_a_time_out_after_arrival_leaves_the_order(setup: PaperSetup) -> None:
    setup.rules = ({"time_out": "after", "fill_percent": 50},)
    setup.submit_without_answer()
    assert members_of(setup.look_up_order(), "status", "filled") == (ENDED, Decimal("1.5"))
    assert setup.submit() == setup.look_up_order()


def test_of_two_concurrent_submissions_one_takes_effect_and_both_report_it(setup: PaperSetup) -> None:
    reports: list[BrokerReport] = []

    def overtake() -> None:
        setup.prices["AAPL"] = Decimal(99)
        reports.append(setup.submit())
        setup.prices["AAPL"] = Decimal(10)

    setup.before_price = overtake
    assert setup.submit() == reports[0]
    assert setup.broker.positions("p1") == {"AAPL": 3}


def test_of_two_concurrent_look_ups_one_executes_and_both_report_it(setup: PaperSetup) -> None:
    setup.rules = ({"latency_seconds": 1},)
    setup.submit()
    setup.now += timedelta(seconds=1)
    setup.before_price = lambda: setup.broker.cancel("p1", "o1")
    assert members_of(setup.look_up_order(), "status", "amount") == (FILLED, 30)


def test_a_conflict_without_a_stored_order_leaves_the_outcome_unknown(setup: PaperSetup) -> None:
    broker = setup.broker
    with mock.patch.object(paper, "put_item", side_effect=ConditionFailed({})), pytest.raises(OutcomeUnknown):
        broker.submit("p1", an_order())
    assert broker.look_up("p1", "o1") is None


def test_two_concurrent_time_outs_have_no_effect(setup: PaperSetup) -> None:
    setup.rules = ({"time_out": "before"},)
    stale = mock.patch.object(paper, "get_item", return_value=None)
    setup.submit_without_answer()
    with stale:
        setup.submit_without_answer()
    assert setup.broker.look_up("p1", "o1") is None


def test_positions_are_read_to_the_last_page(setup: PaperSetup) -> None:
    for number in range(4):
        setup.submit(f"o{number}")
        item = get_item(setup.client, PAPER_TABLE, {"pk": "ACCOUNT#p1", "sk": f"ORDER#o{number}"})
        assert item
        setup.client.put_item(TableName=PAPER_TABLE, Item=serialize(item | {"padding": "x" * 390_000}))
    calls: list[Any] = []
    setup.client.meta.events.register("provide-client-params.dynamodb.Query", lambda params, **_: calls.append(params))
    assert setup.broker.positions("p1") == {"AAPL": 12}
    assert len(calls) > 1
    assert all(each["ConsistentRead"] for each in calls)


def test_every_write_is_conditional_on_the_version(setup: PaperSetup) -> None:
    setup.rules = ({"latency_seconds": 1, "time_out": "before"},)
    setup.submit_without_answer()
    setup.submit()
    setup.now += timedelta(seconds=1)
    setup.look_up_order()
    items = [deserialize(item) for item in setup.client.scan(TableName=PAPER_TABLE)["Items"]]
    assert {item["sk"]: item["version"] for item in items} == {"ORDER#o1": 2, "TIME_OUTS#o1": 1}


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": ""}}, "PutItem"),
        ReadTimeoutError(endpoint_url="x"),
    ],
)
def test_exceptions_of_the_table_pass_through(setup: PaperSetup, error: Exception) -> None:
    broker = setup.broker
    with mock.patch.object(setup.client, "put_item", side_effect=error), pytest.raises(type(error)):
        broker.submit("p1", an_order())
    with mock.patch.object(setup.client, "get_item", side_effect=error), pytest.raises(type(error)):
        broker.look_up("p1", "o1")


BAD_SCENARIOS: list[tuple[str, str]] = [
    ("", "Invalid JSON"),
    ("{}", "the list"),
    ('[{"time_out": "never"}]', "rule 1.time_out"),
    ('[{}, {"match": {"symbl": "A"}}]', "rule 2.match.symbl"),
    ('[{"times": 2}]', "only together with `time_out`"),
    ('[{"ends": true}]', "only together with `fill_percent`"),
    ('[{"refuse": "x", "fee": 1}]', "excludes"),
    ('[{"refuse": "x", "fee_percent": 1}]', "excludes"),
    ('[{"refusal": "permanent"}]', "only together with `refuse`"),
    ('[{"fill_percent": 101}]', "rule 1.fill_percent"),
    ('[{"fill_percent": "1e3"}]', "plain digits"),
    ('[{"fee": "1.001"}]', "at most 2 decimals"),
    ('[{"fee": NaN}]', "not a permitted number"),
    ('[{"price_factor": 0}]', "rule 1.price_factor"),
    ('[{"match": {"nth": 0}}]', "rule 1.match.nth"),
    ('[{"match": {"side": "buy"}}]', "rule 1.match.side"),
]


@pytest.mark.parametrize(("text", "fault"), BAD_SCENARIOS)
def test_an_invalid_scenario_is_reported_with_rule_and_member(text: str, fault: str) -> None:
    with pytest.raises(ScenarioError, match="The paper broker's scenario: ") as raised:
        parse_scenario(text)
    assert fault in str(raised.value)


def test_the_example_scenarios_are_scenarios() -> None:
    files = sorted((ROOT / "infra/local/scenarios").glob("*.json"))
    assert len(files) == 4
    assert all(parse_scenario(file.read_text()) for file in files)


def test_a_refusal_has_the_kind_that_the_scenario_gives(setup: PaperSetup) -> None:
    setup.rules = (
        {"match": {"symbol": "AAPL"}, "refuse": "not tradable", "refusal": "permanent"},
        {"match": {"symbol": "GOLD"}, "refuse": "busy"},
    )
    kinds = [setup.submit(symbol, symbol).refusal for symbol in ("AAPL", "GOLD", "NONE")]
    assert kinds == [RefusalKind.PERMANENT, RefusalKind.TEMPORARY, RefusalKind.TEMPORARY]


def test_an_order_that_was_filled_in_part_or_cancelled_was_not_refused(setup: PaperSetup) -> None:
    setup.rules = ({"match": {"symbol": "AAPL"}, "fill_percent": 50}, NEVER_FILLED)
    assert setup.submit().refusal is None
    setup.prices["SLOW"] = Decimal(1)
    setup.submit("o2", "SLOW")
    setup.broker.cancel("p1", "o2")
    assert setup.look_up_order("o2").refusal is None


def test_the_fees_of_the_rule_without_conditions_are_the_commission_that_planning_knows(setup: PaperSetup) -> None:
    rules: tuple[Any, ...] = (
        {"match": {"symbol": "GOLD"}, "fee": 9},
        {"fee": "1.00", "fee_percent": "0.5"},
    )
    terms = BrokerTermsSettings(paper_scenario=json.dumps(rules)).terms
    setup.rules = rules
    report = setup.submit(quantity="30")
    assert (terms.commission.of(report.amount, "USD"), report.fees) == (Decimal("2.50"), Decimal("2.50"))
    assert setup.submit("o2", "GOLD").fees == 9


def test_alpaca_charges_no_commission_trades_by_session_and_has_one_account() -> None:
    terms = BrokerTermsSettings(broker="alpaca", alpaca_secret_id="keys").terms
    account = "paper-api.alpaca.markets/keys"
    assert terms == BrokerTerms(trades_by_session=True, commission=NO_COMMISSION, shared_account=account)
    assert BrokerTermsSettings().terms == BrokerTerms()
    assert BrokerTermsSettings(paper_sessions=True).terms.trades_by_session


def test_paper_is_the_broker_unless_alpaca_is_configured(setup: PaperSetup) -> None:
    put_item(setup.client, MARKET_TABLE, Quote("AAPL", Decimal("4.5"), setup.now, "feed").to_item())
    settings = BrokerSettings(market_table=MARKET_TABLE, paper_table=PAPER_TABLE, paper_scenario='[{"fee": 1}]')
    broker = broker_from(settings, setup.client, lambda: setup.now)
    report = broker.submit("p1", an_order())
    assert members_of(report, "amount", "fees") == (Decimal("13.50"), 1)
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

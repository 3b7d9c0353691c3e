"""Runs of one scenario under faults: from a quote to the end of the rebalance, driven like AWS drives the functions.

Messages that are not acknowledged are delivered again after their visibility timeout, delayed messages when due. The
stream advances when its function has returned. Where no message is left but a rebalance is open, the sweeper runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

from msgspec.structs import replace

from functions.balancing_on_check_requested import handler as check_function
from functions.execution_on_execution_requested import handler as execution_function
from functions.market_on_quote_received import handler as quote_function
from tests.faults.execution.scripted_broker import Fill, OrderScripts, ScriptedBroker
from tests.faults.harness import survive
from tests.support.moto_state import commits, stored_items, take_messages
from tests.support.system import System, sqs_record
from tests.support.trading import FEED
from trimtab.portfolios.balancing import sweeper as sweeping
from trimtab.portfolios.execution.broker import BrokerOrder
from trimtab.portfolios.execution.worker import MAX_FILLS_PER_TRANSACTION, ExecutionWorker
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.portfolios.rebalancing.orders import OrderStatus
from trimtab.runtime.dynamodb.client import deserialize

if TYPE_CHECKING:
    from tests.faults.execution.scenario_runner import ScenarioRunner

HELD = {"AAPL": 40, "MSFT": 35, "NVDA": 25}
DEPOSIT = Decimal(10_100)
ROUNDS, MAX_RECEIVES = 80, 5
WORKERS = {"quotes": quote_function, "checks": check_function, "executions": execution_function}
T = TypeVar("T")
Policy = Mapping[str, str]
Outcome = tuple[Any, ...]


@dataclass
class ManualClock:
    """A clock that a test sets; each reading advances it by one millisecond."""

    now: datetime = datetime(2026, 3, 2, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the present time of the system."""
        self.now += timedelta(milliseconds=1)
        return self.now

    def wait(self, seconds: float) -> None:
        """Advance the clock."""
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class ScenarioAction:
    """An action of a person or of the market, once `when` holds; repeated until the request is answered."""

    when: Callable[["ScenarioRun"], bool]
    do: Callable[["ScenarioRun"], bool]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scripted run, and the states that its rebalances must end in.

    * `paper`: rules of the paper broker, which then executes in place of the scripted broker.
    * `from_quote`: start with a quote, not with the planned rebalance.
    * `knows_ids`: see `ScriptedBroker`.
    * `by_session`: the broker trades in the sessions of the exchange only.
    * `max_fills_per_transaction`, `max_attempts`: limits of the worker.
    """

    ends: tuple[str, ...] = ("COMPLETED",)
    scripts: OrderScripts = field(default_factory=dict)
    policy: Policy = field(default_factory=dict)
    actions: tuple[ScenarioAction, ...] = ()
    paper: tuple[Any, ...] | None = None
    from_quote: bool = False
    knows_ids: bool = True
    max_fills_per_transaction: int = MAX_FILLS_PER_TRANSACTION
    max_attempts: int = 8
    by_session: bool = False

    def limit(self, worker: ExecutionWorker) -> ExecutionWorker:
        """Return the worker with the limits of this scenario."""
        limits = replace(worker.limits, max_attempts=self.max_attempts)
        terms = replace(worker.terms, trades_by_session=self.by_session)
        return replace(worker, max_fills_per_transaction=self.max_fills_per_transaction, limits=limits, terms=terms)


@dataclass(slots=True)
class QueuedMessage:
    """A message on a queue."""

    queue: str
    body: str
    due: datetime
    id: str
    received: int = 0


@dataclass
class ScenarioRun:
    """One portfolio and its rebalances, from the start of a scenario to its end."""

    runner: "ScenarioRunner"
    scenario: Scenario
    broker: ScriptedBroker
    waiting: list[QueuedMessage]
    is_fed: bool
    visibility: int = 120
    prices: dict[str, Decimal] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    delivered: list[QueuedMessage] = field(default_factory=list)
    process_starts: set[int] = field(default_factory=set)
    """Numbers of the first calls of all processes: requests, deliveries and sweeps."""
    _streamed: int = 0
    _sent: int = 0
    _actions: list[ScenarioAction] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._actions = list(self.scenario.actions)
        self.broker.on_submit = self._check_submission

    @property
    def system(self) -> System:
        """The in-process system."""
        return self.runner.system

    @property
    def clock(self) -> ManualClock:
        """The clock of the system."""
        return self.runner.clock

    @property
    def home(self) -> str:
        """URL path of the portfolio."""
        return self.runner.account.home

    # Driving the system ----------------------------------------------------------------------------------------

    def settle(self) -> "ScenarioRun":
        """Run until nothing is left to do or a failure is found."""
        for _ in range(ROUNDS):
            if self.failures or not self.step():
                return self
        self.failures.append("does not settle")
        return self

    def step(self) -> bool:
        """Perform the next action of the system; return False where nothing is left to do."""
        if not self.is_fed:
            self.is_fed = self.feed(NVDA="60") == 202
            return True
        self._perform_actions()
        for queue in ("quotes", "checks", "executions"):
            if self.deliver(queue):
                return True
        return self._stream() or self._wait() or self._sweep()

    def feed(self, **prices: str) -> int | None:
        """Send quotes as the price feed; return the HTTP status, None without an answer."""
        at = self.clock().isoformat().replace("+00:00", "Z")
        body = {"quotes": [{"symbol": symbol, "price": price, "as_of": at} for symbol, price in prices.items()]}
        status = self._process(lambda: self.system.http("POST", "/quotes", body, authorizer=FEED).status)
        if status == 202:
            self.prices.update({symbol: Decimal(price) for symbol, price in prices.items()})
        return status

    def _process(self, run: Callable[[], T]) -> T | None:
        """Run one process of the system; return None where it crashes."""
        self.process_starts.add(len(self.runner.faults.calls))
        return survive(run)

    def _perform_actions(self) -> None:
        for action in [each for each in self._actions if each.when(self)]:
            self._actions.remove(action)
            if not any(self._process(lambda: action.do(self)) for _ in range(4)):  # noqa: B023 - called at once
                self.failures.append("a request was never answered")

    def _check_submission(self, order: BrokerOrder, *, is_known: bool) -> None:
        """Check that an order at the broker is SENT in the journal, and that the portfolio is locked if it is new."""
        executions = [rebalance.execution for rebalance in self.rebalances() if rebalance.execution]
        journaled = [entry for execution in executions for entry in execution.orders]
        unsent = {OrderStatus.PLANNED, OrderStatus.SKIPPED}
        if order.client_order_id not in {entry.client_order_id for entry in journaled if entry.status not in unsent}:
            self.failures.append(f"sent before it was journaled: {order.symbol}")
        if not is_known and self.portfolio().lock is None:
            self.failures.append(f"sent without the lock: {order.symbol}")

    def collect(self) -> None:
        """Take new messages from the queues."""
        for queue, url in self.runner.urls.items():
            for body, delay in take_messages(url):
                self._sent += 1
                due = self.clock.now + timedelta(seconds=delay)
                self.waiting.append(QueuedMessage(queue, body, due, f"m{self._sent}"))

    def take(self, queue: str) -> list[QueuedMessage]:
        """Take the due messages of a queue."""
        self.collect()
        due = [message for message in self.waiting if message.queue == queue and message.due <= self.clock.now]
        self.waiting = [message for message in self.waiting if message not in due]
        for message in due:
            message.received += 1
            if message.received > MAX_RECEIVES:
                self.failures.append(f"dead-lettered: {message.body}")
        self.delivered += due
        return due

    def restore(self, message: QueuedMessage) -> None:
        """Deliver an unacknowledged message again after its visibility timeout."""
        message.due = self.clock.now + timedelta(seconds=self.visibility)
        self.waiting.append(message)

    def deliver(self, queue: str) -> bool:
        """Hand the due messages of a queue to its worker; take back unacknowledged ones."""
        taken = self.take(queue)
        if not taken:
            return False
        records = [sqs_record(message.body, message_id=message.id) for message in taken]
        failed = self._process(lambda: self.system.invoke_worker(*records, worker=WORKERS[queue]))
        for message in taken:
            if failed is None or message.id in failed:
                self.restore(message)
        return True

    def _stream(self) -> bool:
        """Hand new stream records that pass the event filter to the function that requests checks."""
        new = commits()[self._streamed :]
        marked = [record for record in new if "evaluation_due" in record["dynamodb"].get("NewImage", {})]
        if not marked or self._process(lambda: self.system.pass_stream(marked)) is not None:
            self._streamed += len(new)
        return bool(marked)

    def _wait(self) -> bool:
        self.collect()
        if not self.waiting:
            return False
        self.clock.now = max(self.clock.now, min(message.due for message in self.waiting))
        return True

    def _sweep(self) -> bool:
        pending = [rebalance for rebalance in self.rebalances() if rebalance.is_open and not rebalance.is_stuck]
        if not pending:
            return False
        self.clock.wait(3600)
        shards = "".join(sorted({rebalance.rebalance_id[-1] for rebalance in pending}))
        with mock.patch.object(sweeping, "SHARDS", shards):
            self._process(self.system.run_sweeper)
        return True

    def repeat_everything(self) -> "ScenarioRun":
        """Deliver every message and every stream record a second time, then settle."""
        self.runner.faults.set()
        bodies = {(message.queue, message.body) for message in self.delivered}
        for number, (queue, body) in enumerate(sorted(bodies)):
            self.waiting.append(QueuedMessage(queue, body, self.clock.now, f"again{number}"))
        self._streamed = 0
        return self.settle()

    # Observing -------------------------------------------------------------------------------------------------

    def rebalances(self) -> list[Rebalance]:
        """Return the rebalances of the portfolio, oldest first."""
        items = [item for item in stored_items() if item["sk"]["S"].startswith("REBALANCE#")]
        return sorted((Rebalance.from_item(deserialize(item)) for item in items), key=lambda each: each.created_at)

    def statuses(self) -> tuple[str, ...]:
        """Return the states of the rebalances, oldest first."""
        return tuple(rebalance.status.value for rebalance in self.rebalances())

    def portfolio(self) -> Portfolio:
        """Return the stored portfolio."""
        return Portfolio.from_item(deserialize(next(item for item in stored_items() if item["sk"]["S"] == "PORTFOLIO")))

    def quantities(self) -> dict[str, Decimal]:
        """Return the held quantities by symbol."""
        return {symbol: holding.quantity for symbol, holding in self.portfolio().holdings.items()}

    def fills(self) -> list[Fill]:
        """Return all fills at the broker."""
        if self.scenario.paper is None:
            return self.broker.fills
        items = [deserialize(item) for item in stored_items("paper") if item["sk"]["S"].startswith("ORDER#")]
        return [
            Fill(
                item["sk"].removeprefix("ORDER#"),
                item["symbol"],
                item["side"],
                Decimal(item["filled"]),
                Decimal(item["amount"]),
            )
            for item in items
            if Decimal(item["filled"])
        ]

    def is_in(self, status: str) -> bool:
        """Return whether the first rebalance is in this state."""
        return self.statuses()[:1] == (status,)

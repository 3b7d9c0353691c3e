"""Runs of the saga under faults: from a quote to the end of the rebalance, driven as AWS drives it.

What is not acknowledged comes again after the time-out of its visibility, what is delayed when it is due; the stream
goes on when its function has returned; and where nothing is under way but something is open, the sweeper comes later.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from unittest import mock

from functions.balancing_on_check_requested import handler as check_function
from functions.execution_on_execution_requested import handler as execution_function
from functions.market_on_quote_received import handler as quote_function
from tests.faults.harness import survive
from tests.faults.saga_broker import Exchange, Fates, Fill
from tests.support.moto_state import commits, stored_items, take_messages
from tests.support.system import System, sqs_record
from tests.support.trading import FEED
from trimtab.portfolios.balancing import sweeper as sweeping
from trimtab.portfolios.execution.broker import BrokerOrder
from trimtab.portfolios.execution.worker import BOOKED_AT_ONCE, Executions
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.portfolios.rebalancing.orders import OrderStatus
from trimtab.portfolios.store import to_portfolio, to_rebalance
from trimtab.runtime.dynamo import from_item

if TYPE_CHECKING:
    from tests.faults.saga_laboratory import SagaLaboratory

HELD = {"AAPL": 40, "MSFT": 35, "NVDA": 25}
DEPOSIT = Decimal(10_100)
ROUNDS, MAX_RECEIVES = 80, 5
WORKERS = {"quotes": quote_function, "checks": check_function, "executions": execution_function}
Policy = Mapping[str, str]
Outcome = tuple[Any, ...]


@dataclass
class StillClock:
    """A clock that a test moves; each look at it takes a millisecond."""

    now: datetime = datetime(2026, 3, 2, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Now, as the system sees it."""
        self.now += timedelta(milliseconds=1)
        return self.now

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that happens once during a run; who does it repeats it until it is answered."""

    when: Callable[["SagaRun"], bool]
    do: Callable[["SagaRun"], bool]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens in a run, and the states that its rebalances end in.

    `paper`: the rules of the paper broker, where that executes and not the exchange. `from_quote`: the run begins with
    a quote, and not with the rebalance planned. `knows_ids`: see `Exchange`. `booked_at_once`: so many fills a
    transaction. `most_attempts`: so often an order is sent without an answer.
    """

    ends: tuple[str, ...] = ("COMPLETED",)
    fates: Fates = field(default_factory=dict)
    policy: Policy = field(default_factory=dict)
    deeds: tuple[Deed, ...] = ()
    paper: tuple[Any, ...] | None = None
    from_quote: bool = False
    knows_ids: bool = True
    booked_at_once: int = BOOKED_AT_ONCE
    most_attempts: int = 8

    def limited(self, executions: Executions) -> Executions:
        """The executions within these limits."""
        patience = replace(executions.patience, most_attempts=self.most_attempts)
        return replace(executions, booked_at_once=self.booked_at_once, patience=patience)


@dataclass(slots=True)
class Message:
    """A message on a queue of the harness."""

    queue: str
    body: str
    due: datetime
    id: str
    received: int = 0


@dataclass
class SagaRun:
    """One portfolio and what becomes of its rebalances."""

    lab: "SagaLaboratory"
    scenario: Scenario
    exchange: Exchange
    waiting: list[Message]
    is_fed: bool
    visibility: int = 120
    prices: dict[str, Decimal] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    delivered: list[Message] = field(default_factory=list)
    _streamed: int = 0
    _sent: int = 0
    _deeds: list[Deed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._deeds = list(self.scenario.deeds)
        self.exchange.witness = self._witness

    @property
    def system(self) -> System:
        """The system."""
        return self.lab.system

    @property
    def clock(self) -> StillClock:
        """The time."""
        return self.lab.clock

    @property
    def home(self) -> str:
        """Where the portfolio is."""
        return self.lab.account.home

    # What drives the system ------------------------------------------------------------------------------------

    def settle(self) -> "SagaRun":
        """Lets everything run until nothing is left to do, or something is wrong already."""
        for _ in range(ROUNDS):
            if self.complaints or not self.step():
                return self
        self.complaints.append("does not come to rest")
        return self

    def step(self) -> bool:
        """Whatever is next; False where nothing is left to do."""
        if not self.is_fed:
            self.is_fed = self.feed(NVDA="60") == 202
            return True
        self._do_deeds()
        for queue in ("quotes", "checks", "executions"):
            if self.deliver(queue):
                return True
        return self._stream() or self._wait() or self._sweep()

    def feed(self, **prices: str) -> int | None:
        """The feed sends quotes; the status, None where it was not answered."""
        at = self.clock().isoformat().replace("+00:00", "Z")
        body = {"quotes": [{"symbol": symbol, "price": price, "as_of": at} for symbol, price in prices.items()]}
        status = survive(lambda: self.system.http("POST", "/quotes", body, authorizer=FEED).status)
        if status == 202:
            self.prices.update({symbol: Decimal(price) for symbol, price in prices.items()})
        return status

    def _do_deeds(self) -> None:
        for deed in [it for it in self._deeds if it.when(self)]:
            self._deeds.remove(deed)
            if not any(survive(lambda: deed.do(self)) for _ in range(4)):  # noqa: B023 - called at once
                self.complaints.append("somebody asked for something and was never answered")

    def _witness(self, order: BrokerOrder, *, is_known: bool) -> None:
        """Whatever reaches the broker is in the journal as sent, and the portfolio is locked when it is new there."""
        sent = [it for each in self.rebalances() if each.execution for it in each.execution.orders]
        unsent = {OrderStatus.PLANNED, OrderStatus.SKIPPED}
        if order.client_order_id not in {it.client_order_id for it in sent if it.status not in unsent}:
            self.complaints.append(f"sent before it was journaled: {order.symbol}")
        if not is_known and self.portfolio().lock is None:
            self.complaints.append(f"sent without the lock: {order.symbol}")

    def collect(self) -> None:
        """Takes what was put on the queues."""
        for queue, url in self.lab.urls.items():
            for body, delay in take_messages(url):
                self._sent += 1
                due = self.clock.now + timedelta(seconds=delay)
                self.waiting.append(Message(queue, body, due, f"m{self._sent}"))

    def take(self, queue: str) -> list[Message]:
        """Takes what is due of a queue."""
        self.collect()
        due = [it for it in self.waiting if it.queue == queue and it.due <= self.clock.now]
        self.waiting = [it for it in self.waiting if it not in due]
        for message in due:
            message.received += 1
            if message.received > MAX_RECEIVES:
                self.complaints.append(f"dead-lettered: {message.body}")
        self.delivered += due
        return due

    def bring_back(self, message: Message) -> None:
        """The message was not acknowledged: it comes again when its visibility has timed out."""
        message.due = self.clock.now + timedelta(seconds=self.visibility)
        self.waiting.append(message)

    def deliver(self, queue: str) -> bool:
        """The queue hands what is due to its worker, and takes back what that does not acknowledge."""
        taken = self.take(queue)
        if not taken:
            return False
        records = [sqs_record(message.body, message_id=message.id) for message in taken]
        failed = survive(lambda: self.system.work(*records, worker=WORKERS[queue]))
        for message in taken:
            if failed is None or message.id in failed:
                self.bring_back(message)
        return True

    def _stream(self) -> bool:
        """The stream hands what is new to the function that asks for checks, past its filter."""
        new = commits()[self._streamed :]
        marked = [it for it in new if "watch_due" in it["dynamodb"].get("NewImage", {})]
        if not marked or survive(lambda: self.system.stream(marked)) is not None:
            self._streamed += len(new)
        return bool(marked)

    def _wait(self) -> bool:
        self.collect()
        if not self.waiting:
            return False
        self.clock.now = max(self.clock.now, min(it.due for it in self.waiting))
        return True

    def _sweep(self) -> bool:
        open_work = [it for it in self.rebalances() if it.is_open and not it.is_stuck]
        if not open_work:
            return False
        self.clock.wait(3600)
        shards = "".join(sorted({it.rebalance_id[-1] for it in open_work}))
        with mock.patch.object(sweeping, "SHARDS", shards):
            survive(self.system.sweep)
        return True

    def repeat_everything(self) -> "SagaRun":
        """Delivers again every message and every record of the stream there was, then lets all run."""
        self.lab.faults.set()
        bodies = {(it.queue, it.body) for it in self.delivered}
        for number, (queue, body) in enumerate(sorted(bodies)):
            self.waiting.append(Message(queue, body, self.clock.now, f"again{number}"))
        self._streamed = 0
        return self.settle()

    # What can be seen ------------------------------------------------------------------------------------------

    def rebalances(self) -> list[Rebalance]:
        """Its rebalances, oldest first."""
        found = [to_rebalance(from_item(it)) for it in stored_items() if it["sk"]["S"].startswith("REBALANCE#")]
        return sorted(found, key=lambda it: it.created_at)

    def statuses(self) -> tuple[str, ...]:
        """The states of its rebalances."""
        return tuple(it.status.value for it in self.rebalances())

    def portfolio(self) -> Portfolio:
        """The portfolio as it is stored."""
        return to_portfolio(from_item(next(it for it in stored_items() if it["sk"]["S"] == "PORTFOLIO")))

    def quantities(self) -> dict[str, Decimal]:
        """What it holds."""
        return {symbol: it.quantity for symbol, it in self.portfolio().holdings.items()}

    def fills(self) -> list[Fill]:
        """Everything that the broker executed."""
        if self.scenario.paper is None:
            return self.exchange.fills
        found = [from_item(it) for it in stored_items("paper") if it["sk"]["S"].startswith("ORDER#")]
        return [
            Fill(
                it["sk"].removeprefix("ORDER#"), it["symbol"], it["side"], Decimal(it["filled"]), Decimal(it["amount"])
            )
            for it in found
            if Decimal(it["filled"])
        ]

    def is_in(self, status: str) -> bool:
        """Whether its first rebalance is in that state."""
        return self.statuses()[:1] == (status,)

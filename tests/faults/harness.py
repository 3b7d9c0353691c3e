"""Runs of the system under faults, its own repairs, and the invariants at the end of a run.

A run has one portfolio and one report and is driven like AWS drives it: the client repeats until it is answered, the
queue delivers until the worker acknowledges, the stream until the publisher does, and time passes for the sweeper.
"""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from unittest import mock

import boto3

from functions.balancing_on_sweep import handler as sweep_function
from functions.portfolios_api import app as api_function
from functions.rebalancing_on_rebalance_requested import handler as worker_function
from tests.support.assurance import tried
from tests.support.faults import FOR_EVER, BusRefusal, Crash, Fault, Faults, injecting
from tests.support.moto_state import (
    carries_events,
    clear_all,
    commits,
    fast_transactions,
    lose_messages,
    stored_items,
    waiting,
)
from tests.support.system import System, in_process_system, sqs_record
from trimtab.contracts.events import unpack_events
from trimtab.kernel.clock import utc_now
from trimtab.portfolios.balancing import sweeper as sweeping
from trimtab.portfolios.portfolio.model import portfolio_id_of
from trimtab.portfolios.rebalancing.model import rebalance_id_of

T = TypeVar("T")
DRIFTED = {"stocks": 70, "bonds": 20, "gold": 10}
EXPECTED = [("SELL", "stocks", "10.0000"), ("BUY", "bonds", "10.0000")]
EVENT_NAMESPACE = uuid.UUID("6f1dcb0c-5b0e-5a0e-9b59-0d3b6f1f2c11")
ROUNDS = 8
# A sweep looks at sixteen shards; the fifteen that are empty differ in nothing but the time that they take.
SHARD = rebalance_id_of(portfolio_id_of("demo", "1", "default"), "k1")[-1]


@dataclass
class MovableClock:
    """The clock of the system, which a test can move ahead."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        """Return the time of the system."""
        return utc_now() + self.ahead


@dataclass
class Run:
    """One portfolio, one report, and all calls for them."""

    system: System
    faults: Faults
    clock: MovableClock
    client_repeats: bool = True
    on_queue: bool = False
    """The report is put straight on the queue; no client waits for an answer."""
    is_lost: bool = False
    """The message of an accepted report is lost before anything else happens."""
    is_answered: bool = False
    complaints: list[str] = field(default_factory=list)
    _published: int = 0
    _delivered: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sqs = boto3.client("sqs")
        with self.faults.paused():
            self.faults.clear()
            self.faults.reached_the_bus.clear()
            clear_all()
            self.portfolio = self.system.portfolio()
            if self.on_queue:
                self._send(self.message)
            if self.is_lost:
                self.accept()
                lose_messages()

    @property
    def message(self) -> str:
        """The report as a provider sends it."""
        report = {"tenant_id": "demo", "request_id": "k1", "user_id": "1", "new_allocation": DRIFTED}
        return json.dumps({"schema_version": 1, "type": "rebalance.requested", **report})

    # What drives the system ------------------------------------------------------------------------------------

    def accept(self) -> int | None:
        """Send the client's request. Return its status, None if the function ended before it answered."""

        def post() -> int:
            headers = {"Idempotency-Key": "k1"}
            answer = self.system.http(
                "POST", "/rebalance", {"user_id": "1", "new_allocation": DRIFTED}, headers=headers
            )
            return answer.status

        status = survive(post)
        if status == 202:
            self.is_answered = True
            if not self._rebalances():
                self.complaints.append("accepted, but not stored")
            if not self._outcomes() and not waiting(self.system.queue_url):
                self.complaints.append("accepted, but neither decided nor on the queue")
        return status

    def deliver(self) -> None:
        """Deliver all messages to the worker; those that it does not acknowledge stay on the queue."""
        with self.faults.paused():
            received = self._receive()
            self._delivered += received
        records = [_record(message) for message in received]
        failed = survive(lambda: self.system.invoke_worker(*records)) if records else set()
        with self.faults.paused():
            for message in received:
                handle = {"QueueUrl": self.system.queue_url, "ReceiptHandle": message["ReceiptHandle"]}
                if failed is None or message["MessageId"] in failed:
                    self._sqs.change_message_visibility(**handle, VisibilityTimeout=0)
                    continue
                self._sqs.delete_message(**handle)
                if not self._outcomes():
                    self.complaints.append("acknowledged without an outcome")

    def publish(self) -> None:
        """Pass new stream records to the publisher, and advance only if it returns."""
        new = commits()[self._published :]
        records = [record for record in new if carries_events(record)]
        if records and survive(lambda: self.system.publish_events(records)) is None:
            return
        self._published += len(new)
        if missing := {each for record in records for each in event_ids(record)} - {it["id"] for it in self.events()}:
            self.complaints.append(f"published, but {len(missing)} events are nowhere")

    def sweep_later(self) -> None:
        """An hour passes, and the sweeper runs."""
        self.clock.ahead += timedelta(hours=1)
        survive(self.system.run_sweeper)

    def settle(self) -> "Run":
        """Lets everything run until nothing is left to do, then once more, as if all answers had been lost."""
        for number in range(ROUNDS):
            self.try_once(repeats=number > 0)
            if self._is_settled():
                self._repeat_everything()
                return self
        self.complaints.append("does not come to rest")
        return self

    def try_once(self, *, repeats: bool = False) -> None:
        """Each function is invoked once, whatever happens to it."""
        if not (self.is_answered or self.on_queue) and (self.client_repeats or not repeats):
            self.accept()
        if self.is_lost or repeats:
            self.sweep_later()
        self.deliver()
        self.publish()

    def _repeat_everything(self) -> None:
        self.faults.clear()
        if self.client_repeats and not self.on_queue:
            self.accept()
        with self.faults.paused():
            for message in self._delivered:
                self._send(message["Body"])  # a redrive: the same body under a new message id
        self.sweep_later()
        self.deliver()
        self._published = 0
        self.publish()

    def _is_settled(self) -> bool:
        asked = self.is_answered or self.on_queue or not self.client_repeats
        pending_jobs = len(self._rebalances()) - len(self._outcomes())
        return asked and not pending_jobs and not waiting(self.system.queue_url) and self._published == len(commits())

    # What must hold --------------------------------------------------------------------------------------------

    def violations(self) -> list[str]:
        """Everything that was lost or doubled; empty where nothing was."""
        found = list(self.complaints)
        if not self._rebalances() and not self.is_answered and not self.on_queue:
            return found  # the client gave up before anything was stored: nothing was asked for
        with self.faults.paused():
            found += [f"{what}: {have!r}, not {want!r}" for what, have, want in self._facts() if have != want]
            found += self._event_violations()
        return found

    def _facts(self) -> Iterator[tuple[str, Any, Any]]:
        home = f"/portfolios/{self.portfolio['portfolio_id']}"
        portfolio = self.system.http("GET", home).json
        rebalances = self.system.http("GET", f"{home}/rebalances").json["items"]
        moves = self.system.http("GET", f"{home}/transactions").json["items"]
        versions: dict[str, list[int]] = {}
        for record in commits():
            image = record["dynamodb"]["NewImage"]
            versions.setdefault(image["sk"]["S"], []).append(int(image["version"]["N"]))
        decided = [record for record in commits() if record["dynamodb"]["NewImage"].get("status") == {"S": "COMPLETED"}]
        yield "outcomes", [each["status"] for each in rebalances], ["COMPLETED"]
        yield "transactions", [(it["action"], it["asset"], it["rebalance_percent"]) for it in moves], EXPECTED
        yield "version of the portfolio", portfolio["version"], 2
        yield "target", portfolio["allocation"], self.portfolio["allocation"]
        yield "commits of an outcome", len(decided), 1
        yield "messages left", len(waiting(self.system.queue_url)), 0
        for key, written in versions.items():
            yield f"versions of {key}", written, list(range(1, len(written) + 1))

    def _event_violations(self) -> list[str]:
        committed = [each for record in commits() for each in event_ids(record)]
        events = self.events()
        found = []
        if {event["id"] for event in events} != set(committed):
            found.append("the ids of the events are not those of the commits")
        if len(set(committed)) != len(committed):
            found.append("two commits have events of one id")
        if len({json.dumps(event, sort_keys=True) for event in events}) != len(set(committed)):
            found.append("one id stands for two events")
        types = Counter(event["type"] for event in {event["id"]: event for event in events}.values())
        if types != {"portfolio.created": 1, "rebalance.completed": 1}:
            found.append(f"events: {dict(types)}")
        return found

    def events(self) -> list[Any]:
        """Every event that reached the bus or the queue of the undelivered."""
        return [*self.faults.reached_the_bus, *(json.loads(each.body) for each in waiting(self.system.undelivered_url))]

    # The queue, the table ----------------------------------------------------------------------------------------

    def _send(self, body: str) -> None:
        self._sqs.send_message(QueueUrl=self.system.queue_url, MessageBody=body, MessageGroupId="demo")

    def _receive(self) -> list[Any]:
        received: list[Any] = []
        while waiting(self.system.queue_url):
            received += self._sqs.receive_message(
                QueueUrl=self.system.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"]
            )["Messages"]
        return received

    def _rebalances(self) -> list[Any]:
        return [item for item in stored_items() if item["sk"]["S"].startswith("REBALANCE#")]

    def _outcomes(self) -> list[Any]:
        return [item for item in self._rebalances() if item["status"]["S"] != "REQUESTED"]


def survive(invoke: Callable[[], T]) -> T | None:
    """What the function returns; None where it crashes or raises, which its event source sees as no answer."""
    try:
        return invoke()
    except (Crash, Exception):  # noqa: BLE001 - whatever ends an invocation, the event source only sees that it ended
        return None


def event_ids(record: Any) -> list[str]:
    """The ids that follow from a commit: of the item's key, its version and the event's position."""
    image = record["dynamodb"]["NewImage"]
    if "events" not in image:
        return []
    key, version = f"{image['pk']['S']}|{image['sk']['S']}", int(image["version"]["N"])
    count = len(unpack_events(image["events"]["S"]))
    return [
        str(uuid.uuid5(EVENT_NAMESPACE, json.dumps([key, version, position], separators=(",", ":"))))
        for position in range(count)
    ]


def _record(message: Any) -> Any:
    return sqs_record(message["Body"], message_id=message["MessageId"], **message["Attributes"])


ACCEPT, DECIDE, PUBLISH = ["GetItem", "PutItem", "SendMessage"], ["BatchGetItem", "TransactWriteItems"], ["PutEvents"]
SCENARIOS = {
    "client repeats": ACCEPT + DECIDE + PUBLISH,
    "client gives up": ACCEPT + DECIDE + PUBLISH,
    "put on the queue": DECIDE + PUBLISH,
    "message lost": ["Query", "BatchGetItem", "PutItem", "SendMessage", "Query", *DECIDE, *PUBLISH],
    "bus down": ACCEPT + DECIDE + PUBLISH * 3 + ["SendMessage"] * 2,
}
"""Scenarios of a report, with their calls if nothing fails."""


def faults_of(scenario: str) -> list[Fault]:
    """Return the faults that make a scenario."""
    return [BusRefusal(0, FOR_EVER)] if scenario == "bus down" else []


@dataclass
class FaultTestBench:
    """An in-process system with fault injection and a clock, in which runs follow each other."""

    system: System
    faults: Faults
    clock: MovableClock

    def run(self, scenario: str, *faults: Fault) -> Run:
        """Run a scenario with these faults to its end."""
        run = self.start(scenario)
        self.faults.set(*faults)
        return run.settle()

    def start(self, scenario: str) -> Run:
        """Return a run of a scenario before its first call."""
        tried()
        self.clock.ahead = timedelta()
        return Run(
            self.system,
            self.faults,
            self.clock,
            client_repeats=scenario != "client gives up",
            on_queue=scenario == "put on the queue",
            is_lost=scenario == "message lost",
        )


@contextmanager
def fault_test_bench() -> Iterator[FaultTestBench]:
    """Provide a new test bench."""
    clock = MovableClock()
    with ExitStack() as stack:
        for function in (api_function, worker_function, sweep_function):
            stack.enter_context(mock.patch.object(function, "utc_now", clock))
        stack.enter_context(mock.patch.object(sweeping, "SHARDS", SHARD))
        here = stack.enter_context(in_process_system())
        stack.enter_context(fast_transactions())
        faults = stack.enter_context(injecting())
        yield FaultTestBench(here, faults, clock)

"""Two execution workers with the same message, in threads that switch at chosen calls."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from functions.execution_on_execution_requested import handler as execution_function
from tests.faults.execution.scenario_run import QueuedMessage, ScenarioRun
from tests.faults.harness import survive
from tests.support.faults import Faults
from tests.support.system import sqs_record
from trimtab.contracts.messages import ExecutionRequested
from trimtab.runtime.sqs.worker import read_record

TIMEOUT_SECONDS = 20
LEASE_SECONDS = 90


@dataclass
class Turns:
    """A schedule of turns: each worker makes a number of calls, then blocks before its next call."""

    turns: list[tuple[str, float]]
    on_switch: Callable[[], None] = lambda: None
    _turn: threading.Condition = field(default_factory=threading.Condition)

    def pass_gate(self) -> None:
        """Block the calling worker until its turn."""
        name = threading.current_thread().name
        with self._turn:
            if self.turns and self.turns[0] == (name, 0):
                self._next()
            if not self._turn.wait_for(lambda: not self.turns or self.turns[0][0] == name, TIMEOUT_SECONDS):
                raise TimeoutError(f"{name} did not get a turn")
            if self.turns:
                self.turns[0] = (name, self.turns[0][1] - 1)

    def end(self, name: str) -> None:
        """Remove a finished worker from the schedule."""
        with self._turn:
            was_on = bool(self.turns) and self.turns[0][0] == name
            self.turns = [turn for turn in self.turns if turn[0] != name]
            if was_on:
                self.on_switch()
            self._turn.notify_all()

    def _next(self) -> None:
        del self.turns[0]
        self.on_switch()
        self._turn.notify_all()


@dataclass
class WorkerThread:
    """An execution worker in a thread of its own."""

    name: str
    message: QueuedMessage
    turns: Turns
    is_done: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, which blocks before its first call until its turn."""
        self._thread = threading.Thread(target=self._work, name=self.name)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the thread."""
        assert self._thread is not None
        self._thread.join(2 * TIMEOUT_SECONDS)
        assert not self._thread.is_alive()

    def _work(self) -> None:
        record = SQSRecord(sqs_record(self.message.body, message_id=self.message.id))

        def execute() -> bool:
            execution_function.execute(read_record(record, ExecutionRequested), record)
            return True

        self.is_done = bool(survive(execute))
        self.turns.end(self.name)


def two_workers(run: ScenarioRun, turns: list[tuple[str, float]], on_switch: Callable[[int], Any]) -> tuple[bool, bool]:
    """Run workers `a` and `b` on the same message with these turns; return whether each ended without an exception."""
    switches = iter(range(1_000))
    (message,) = run.take("executions")
    schedule = Turns([*turns], lambda: on_switch(next(switches)))
    workers = [WorkerThread("a", message, schedule), WorkerThread("b", message, schedule)]
    faults: Faults = run.runner.faults
    faults.set()
    faults.gate = schedule.pass_gate
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        faults.gate = None
    if not all(worker.is_done for worker in workers):
        run.restore(message)
    return workers[0].is_done, workers[1].is_done


def one_switch(call: int) -> list[tuple[str, float]]:
    """Return a schedule: `a` makes `call` calls, then `b` runs to its end, then `a` continues."""
    return [("a", call), ("b", inf), ("a", inf)]

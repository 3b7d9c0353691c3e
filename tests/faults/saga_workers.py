"""Two execution workers on one message, switched between at chosen calls."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from functions.execution_on_execution_requested import handler as execution_function
from tests.faults.harness import survive
from tests.faults.saga import Message, SagaRun
from tests.support.faults import Faults
from tests.support.system import sqs_record

PATIENCE_SECONDS = 20
LEASE_SECONDS = 90


@dataclass
class Turns:
    """Whose turn it is: each worker makes so many calls, then it is held before its next, and the other goes on."""

    turns: list[tuple[str, float]]
    on_switch: Callable[[], None] = lambda: None
    _turn: threading.Condition = field(default_factory=threading.Condition)

    def pass_gate(self) -> None:
        """Lets the worker make its call when it is its turn."""
        name = threading.current_thread().name
        with self._turn:
            if self.turns and self.turns[0] == (name, 0):
                self._next()
            if not self._turn.wait_for(lambda: not self.turns or self.turns[0][0] == name, PATIENCE_SECONDS):
                raise TimeoutError(f"{name} never gets its turn")
            if self.turns:
                self.turns[0] = (name, self.turns[0][1] - 1)

    def end(self, name: str) -> None:
        """The worker has come to its end; the others share what is left."""
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
class Worker:
    """A process of its own, as far as the execution goes."""

    name: str
    message: Message
    turns: Turns
    is_done: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """It begins, and waits for its turn before its first call."""
        self._thread = threading.Thread(target=self._work, name=self.name)
        self._thread.start()

    def join(self) -> None:
        """Until it has come to its end."""
        assert self._thread is not None
        self._thread.join(2 * PATIENCE_SECONDS)
        assert not self._thread.is_alive()

    def _work(self) -> None:
        record = SQSRecord(sqs_record(self.message.body, message_id=self.message.id))

        def execute() -> bool:
            execution_function.execute(record)
            return True

        self.is_done = bool(survive(execute))
        self.turns.end(self.name)


def two_workers(run: SagaRun, turns: list[tuple[str, float]], on_switch: Callable[[int], Any]) -> tuple[bool, bool]:
    """Lets `a` and `b` have the same message and take turns; whether each came to a good end, and did not raise."""
    switches = iter(range(1_000))
    (message,) = run.take("executions")
    schedule = Turns([*turns], lambda: on_switch(next(switches)))
    workers = [Worker("a", message, schedule), Worker("b", message, schedule)]
    faults: Faults = run.lab.faults
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
        run.bring_back(message)
    return workers[0].is_done, workers[1].is_done


def one_switch(call: int) -> list[tuple[str, float]]:
    """`a` makes so many calls, then `b` runs to its end, then `a` goes on."""
    return [("a", call), ("b", inf), ("a", inf)]

"""Fault injection at the border to AWS: crashes, throttles, time-outs and lost answers at the n-th call.

A call is one call of a client by our code; a request is one attempt of botocore to make the call. Crashes happen around
calls. All other faults happen to requests, inside botocore's own retry loop. All calls are recorded.
"""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from math import inf
from typing import Any, TypeVar
from unittest import mock

from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from botocore.endpoint import Endpoint
from botocore.exceptions import ReadTimeoutError

from tests.support.clients import forget_clients

T = TypeVar("T")
FOR_EVER = inf
_THROTTLES = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "sqs": "RequestThrottled",
    "events": "ThrottlingException",
    "s3": "SlowDown",
    "secretsmanager": "ThrottlingException",
    "apigatewaymanagementapi": "LimitExceededException",
}


class Crash(BaseException):
    """Ends the process. Derived from BaseException, so that no `except Exception` catches it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that our code made."""

    service: str
    operation: str
    arguments: Any = field(compare=False, repr=False)


@dataclass(slots=True)
class Fault:
    """A fault at the call with the number `call`, counted from 0 since the faults were set.

    The first `times` requests from that call on are affected, whichever call they belong to.
    """

    call: int
    times: float = 1


class CrashBefore(Fault):
    """The process ends before the call takes effect."""


class CrashAfter(Fault):
    """The process ends after the call took effect, before the answer is seen."""


class Throttle(Fault):
    """The request is refused because of its rate, without effect."""


class TransactionThrottle(Fault):
    """A transaction is cancelled because one of its actions was throttled; a put is throttled as usual."""


class TransactionConflict(Fault):
    """A write is refused because another transaction is modifying the item."""


class TimeOut(Fault):
    """The request times out without effect."""


class LostAnswer(Fault):
    """The request takes effect, but times out."""


class BusRefusal(Fault):
    """The event bus refuses every entry in a successful answer."""


class BusPartialRefusal(Fault):
    """The event bus accepts the first entry and refuses the others in a successful answer."""


@dataclass
class Faults:
    """The faults of a test: `set` them, run the system, then read `calls` and `reached_the_bus`."""

    calls: list[Call] = field(default_factory=list)
    reached_the_bus: list[Any] = field(default_factory=list)
    met: list[Fault] = field(default_factory=list)
    on_answer: Callable[[Call], None] | None = None
    gate: Callable[[], None] | None = None
    """Passed before each call: a test can hold a thread there."""
    _faults: list[Fault] = field(default_factory=list)
    _thread: threading.local = field(default_factory=threading.local)

    def set(self, *faults: Fault) -> None:
        """Replace all faults, forget recorded calls, and count calls from 0."""
        self.calls.clear()
        self.met.clear()
        self._faults[:] = faults

    def clear(self) -> None:
        """Remove all faults; calls are still recorded."""
        self._faults.clear()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Neither count nor fail the calls that the test itself makes inside the `with` block."""
        before, self._thread.is_paused = getattr(self._thread, "is_paused", False), True
        try:
            yield
        finally:
            self._thread.is_paused = before

    @property
    def operations(self) -> list[str]:
        """The names of the recorded calls."""
        return [call.operation for call in self.calls]

    def around_call(self, make: Callable[..., Any], client: Any, operation: str, arguments: Any) -> Any:
        """Make an AWS call, with injected crashes."""
        service = client.meta.service_model.service_name
        return self.around(service, operation, lambda: make(client, operation, arguments), arguments)

    def around(self, service: str, operation: str, make: Callable[[], T], arguments: Any = None) -> T:
        """Make any call that leaves the process (to AWS or to a broker), with injected crashes."""
        if getattr(self._thread, "is_paused", False):
            return make()
        if self.gate is not None:
            self.gate()
        call = Call(service, operation, arguments)
        self._thread.number = number = len(self.calls)
        self.calls.append(call)
        if self._meets(number, CrashBefore):
            raise Crash
        try:
            return make()
        finally:
            if self.on_answer is not None:
                self.on_answer(call)
            if self._meets(number, CrashAfter):
                raise Crash

    def around_request(self, send: Callable[..., Any], endpoint: Any, request: Any, model: Any, context: Any) -> Any:
        """Send a request, with injected faults. Return an answer, or an error for the retry loop."""
        if getattr(self._thread, "is_paused", False):
            return send(endpoint, request, model, context)
        number, service = self._thread.number, model.service_model.service_name
        if self._meets(number, TimeOut):
            return None, ReadTimeoutError(endpoint_url=request.url)
        if (error := self._refusal(number, model.name, _THROTTLES[service])) is not None:
            return _answer(request, 400, error), None
        answer = self._bus(request) if model.name == "PutEvents" else send(endpoint, request, model, context)
        return (None, ReadTimeoutError(endpoint_url=request.url)) if self._meets(number, LostAnswer) else answer

    def _refusal(self, number: int, operation: str, throttle: str) -> dict[str, Any] | None:
        """Return the error that answers the request, None if the request is sent."""
        if self._meets(number, Throttle):
            return _error(throttle)
        if operation not in {"PutItem", "TransactWriteItems"}:
            return None
        if self._meets(number, TransactionThrottle):
            return _error(throttle) if operation == "PutItem" else _cancelled("ThrottlingError")
        if self._meets(number, TransactionConflict):
            conflict = "TransactionConflict"
            return _error(f"{conflict}Exception") if operation == "PutItem" else _cancelled(conflict)
        return None

    def _bus(self, request: Any) -> Any:
        """Answer a PutEvents request and record the accepted entries."""
        number, body = self._thread.number, json.loads(request.body)
        entries = taken = body["Entries"]
        if self._meets(number, BusRefusal):
            taken = []
        elif self._meets(number, BusPartialRefusal):
            taken = entries[:1]
        self.reached_the_bus += [json.loads(entry["Detail"]) for entry in taken]
        refused = [{"ErrorCode": "InternalFailure", "ErrorMessage": "injected"}] * (len(entries) - len(taken))
        results = [{"EventId": str(position)} for position in range(len(taken))] + refused
        return _answer(request, 200, {"FailedEntryCount": len(refused), "Entries": results}), None

    def _meets(self, number: int, kind: type[Fault]) -> bool:
        for fault in self._faults:
            crashes = kind in {CrashBefore, CrashAfter}
            due = fault.call == number if crashes else fault.call <= number
            if type(fault) is kind and due and fault.times > 0:
                fault.times -= 1
                self.met.append(fault)
                return True
        return False


def _error(code: str) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": "injected"}}


def _cancelled(reason: str) -> dict[str, Any]:
    reasons = [{"Code": "None"}, {"Code": reason, "Message": "injected"}]
    return {**_error("TransactionCanceledException"), "CancellationReasons": reasons}


class _NoBody:
    """An empty body: the parsed answer is provided separately."""

    def stream(self) -> Iterator[bytes]:
        """Yield nothing."""
        return iter(())


def _answer(request: Any, status: int, parsed: dict[str, Any]) -> Any:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": {}}
    return AWSResponse(request.url, status, HTTPHeaders(), _NoBody()), {**parsed, "ResponseMetadata": metadata}


@contextmanager
def injecting(*, sleeps: bool = False) -> Iterator[Faults]:
    """Inject faults around every AWS client of the process. Waits between retries take no time unless `sleeps`."""
    faults = Faults()
    make, send = BaseClient._make_api_call, Endpoint._do_get_response  # type: ignore[attr-defined]

    def make_call(client: Any, operation: str, arguments: Any) -> Any:
        return faults.around_call(make, client, operation, arguments)

    def send_request(endpoint: Any, request: Any, model: Any, context: Any) -> Any:
        return faults.around_request(send, endpoint, request, model, context)

    patches: Sequence[Any] = (
        mock.patch.object(BaseClient, "_make_api_call", make_call),
        mock.patch.object(Endpoint, "_do_get_response", send_request),
    )
    waits = nullcontext() if sleeps else mock.patch("time.sleep")
    with patches[0], patches[1], waits:
        yield faults
    forget_clients()

"""Traces by W3C Trace Context: each request and message continues the trace of its `traceparent`, or starts a trace.

The trace id stays the same from the request through messages, items, events and webhooks; each hop has its own span id,
which is the parent id of the next hop. Ids are derived, so a redelivered message has the ids of its first delivery.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import wraps
from hashlib import sha256
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.runtime.metrics import metrics
from trimtab.runtime.observability import log_context, logger

TRACEPARENT = "traceparent"
"""The name of the header, the message attribute, the member of an event and the attribute of an item."""

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_FIRST_VERSION, _INVALID_VERSION = "00", "ff"
_SAMPLED = 1

LambdaHandler = Callable[[dict[str, Any], Any], Any]


class Trace(Struct, frozen=True):
    """A position in a trace: the trace id (32 hexadecimal digits) and the span id of the hop (16)."""

    trace_id: str
    span_id: str
    is_sampled: bool = True

    def __str__(self) -> str:
        """Return the value of `traceparent` for the next hop.

        >>> str(Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"))
        '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
        """
        return f"{_FIRST_VERSION}-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}"


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def parse_traceparent(text: object) -> Trace | None:
    """Return the trace of a `traceparent`, None for a malformed one. Later versions may have further fields.

    >>> parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").is_sampled
    False
    >>> parse_traceparent("00-00000000000000000000000000000000-00f067aa0ba902b7-01") is None
    True
    """
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    is_valid = version != _INVALID_VERSION and (version != _FIRST_VERSION or more is None)
    if not is_valid or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


@contextmanager
def continue_trace(traceparent: object, seed: str) -> Iterator[Trace]:
    """Continue the trace of a `traceparent`, or start one where it is absent or malformed; log lines have the trace id.

    `seed` is the id of the request or the message: the span id is derived from it. A UUID is the id of a new trace
    without its hyphens.
    """
    parent = parse_traceparent(traceparent)
    trace = Trace(_trace_id_of(seed), "") if parent is None else parent
    trace = replace(trace, span_id=_digest(f"{trace}|{seed}", 16))
    token = _current.set(trace)
    try:
        with log_context(trace_id=trace.trace_id):
            yield trace
    finally:
        _current.reset(token)


def current_trace_id() -> str:
    """Return the id of the present trace, an empty text outside of any."""
    trace = _current.get()
    return trace.trace_id if trace else ""


def next_traceparent(stored: str | None = None) -> str | None:
    """Return the `traceparent` of the next hop, None outside of any trace.

    With the `traceparent` that a job has stored, its trace goes on: a repair or a retry belongs to the same story.
    """
    trace, job = _current.get(), parse_traceparent(stored)
    if trace is None:
        return stored
    return str(replace(trace, trace_id=job.trace_id) if job else trace)


def with_traceparent(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an item with the trace of its write, if the item carries events or names the attribute `traceparent`."""
    if item.get("events") is None and TRACEPARENT not in item:
        return item
    return {**item, TRACEPARENT: next_traceparent(item.get(TRACEPARENT))}


def instrumented(handler: LambdaHandler) -> LambdaHandler:
    """Return a Lambda handler with metrics, log context and a trace for each invocation.

    The trace is that of the event of the bus, or a new one; requests, messages and records continue their own.
    """

    @metrics.log_metrics
    @logger.inject_lambda_context(clear_state=True)
    @wraps(handler)
    def process(event: dict[str, Any], context: Any) -> Any:
        detail = event.get("detail") or {}
        with continue_trace(detail.get(TRACEPARENT), str(event.get("id") or context.aws_request_id)):
            return handler(event, context)

    traced: LambdaHandler = process
    return traced


def parallel_map(threads: int) -> Callable[..., Any]:
    """Return the `map` of a pool of threads that continue the caller's trace, or the builtin `map` for one thread."""
    if threads <= 1:
        return map
    pool = ThreadPoolExecutor(threads)

    def traced_map(function: Callable[..., Any], *iterables: Any) -> Iterator[Any]:
        contexts = iter(copy_context, None)  # each call runs in a copy of its own: a context is entered once at a time
        return pool.map(lambda context, *arguments: context.run(function, *arguments), contexts, *iterables)

    return traced_map


def _trace_id_of(seed: str) -> str:
    hexadecimal = seed.replace("-", "")
    is_uuid = re.fullmatch("[0-9a-f]{32}", hexadecimal) and int(hexadecimal, 16)
    return hexadecimal if is_uuid else _digest(seed, 32)


def _digest(text: str, digits: int) -> str:
    """Return hexadecimal digits that are not all zero."""
    return sha256(text.encode()).hexdigest()[: digits - 1] + "1"

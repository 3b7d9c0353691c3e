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

from msgspec.structs import replace

from trimtab.contracts.traces import TRACE, TRACEPARENT, Trace, parse_traceparent, unpack_trace
from trimtab.runtime.metrics import metrics
from trimtab.runtime.observability import log_context, logger

LambdaHandler = Callable[[dict[str, Any], Any], Any]


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


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


def next_traceparent(job_trace: str | None = None) -> str | None:
    """Return the `traceparent` of the next hop, None outside of any trace.

    With the trace that a job has stored, this trace goes on: a retry and a repair belong to the same story.
    """
    trace = _next_trace(job_trace)
    return str(trace) if trace else None


def with_trace(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an item with the trace of its write, if the item carries events or names the attribute `trace`."""
    if item.get("events") is None and TRACE not in item:
        return item
    trace = _next_trace(item.get(TRACE))
    return {**item, TRACE: trace.pack() if trace else None}


def traceparent_of_item(item: Mapping[str, Any]) -> str | None:
    """Return the `traceparent` that continues the trace of an item, None for an item without a trace."""
    trace = unpack_trace(item.get(TRACE))
    return str(trace) if trace else None


def _next_trace(job_trace: str | None) -> Trace | None:
    trace, job = _current.get(), unpack_trace(job_trace)
    return replace(trace, trace_id=job.trace_id) if trace and job else trace or job


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

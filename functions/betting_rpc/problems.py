"""Refusals as Connect errors: each error carries the problem document of the REST routes as its detail."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError

from functions.betting_rpc.conversion import write_response
from functions.betting_rpc.generated import orders_pb as pb
from trimtab.kernel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    Refusal,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    UnsupportedMedia,
)
from trimtab.runtime.http.problems import INTERNAL_ERROR, PROBLEM_TYPE, status_of
from trimtab.runtime.observability import logger
from trimtab.runtime.tracing import current_trace_id

CODES: Mapping[type[Refusal], Code] = {
    Invalid: Code.INVALID_ARGUMENT,
    UnsupportedMedia: Code.INVALID_ARGUMENT,
    TooLarge: Code.RESOURCE_EXHAUSTED,
    Unauthenticated: Code.UNAUTHENTICATED,
    Forbidden: Code.PERMISSION_DENIED,
    NotFound: Code.NOT_FOUND,
    MethodNotAllowed: Code.UNIMPLEMENTED,
    Conflict: Code.FAILED_PRECONDITION,
    PreconditionFailed: Code.FAILED_PRECONDITION,
    Unprocessable: Code.FAILED_PRECONDITION,
    Unavailable: Code.UNAVAILABLE,
}


def code_of(refusal: Refusal) -> Code:
    """Return the Connect code of a refusal.

    A `Conflict` is `aborted` if a retry can succeed, `already_exists` if an idempotency key was used for a different
    request, and `failed_precondition` otherwise.
    """
    if isinstance(refusal, Conflict) and refusal.retry_after_seconds is not None:
        return Code.ABORTED
    if refusal.type == "key_reused":
        return Code.ALREADY_EXISTS
    return next(CODES[kind] for kind in type(refusal).__mro__ if kind in CODES)


def connect_error(refusal: Refusal) -> ConnectError:
    """Return the Connect error of a refusal, and log the refusal."""
    code = code_of(refusal)
    logger.info("refused", type=refusal.type, code=code.value)
    more = {"errors": list(refusal.errors), "retry_after_seconds": refusal.retry_after_seconds}
    return _error(code, status_of(refusal), refusal.type, refusal.detail, **more)


def internal_error() -> ConnectError:
    """Return the Connect error of an unexpected exception; the error names no cause, the log has the cause."""
    reason, detail = INTERNAL_ERROR
    return _error(Code.INTERNAL, HTTPStatus.INTERNAL_SERVER_ERROR, reason, detail)


def _error(code: Code, status: HTTPStatus, reason: str, detail: str, **more: Any) -> ConnectError:
    view = {
        "type": PROBLEM_TYPE + reason,
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "trace_id": current_trace_id(),
    }
    return ConnectError(code, detail, [write_response(pb.Problem, {**view, **more})])

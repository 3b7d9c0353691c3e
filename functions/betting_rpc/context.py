"""The context of the RPC that is being answered: the event of API Gateway, and the verified caller."""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from trimtab.kernel.caller import Caller
from trimtab.runtime.http.problems import request_id_of

current_event: ContextVar[Mapping[str, Any]] = ContextVar("event")
current_caller: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """Return the verified caller."""
    return current_caller.get()


def request_id() -> str:
    """Return the request id of API Gateway."""
    return request_id_of(current_event.get())

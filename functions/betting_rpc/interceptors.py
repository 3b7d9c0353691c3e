"""Interceptors of every RPC: authentication and scopes before the message is read, errors after the method."""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext

from functions.betting_rpc.context import current_caller, current_event
from functions.betting_rpc.problems import connect_error, internal_error
from trimtab.kernel.clock import Clock, utc_now
from trimtab.kernel.errors import Refusal
from trimtab.runtime.http.app import authenticate
from trimtab.runtime.http.problems import as_unavailable


class AuthInterceptor:
    """Requires a valid token with the scope of the method, before the message is read."""

    def __init__(self, *, auth: Callable[[], str], scopes: Mapping[str, str], clock: Clock = utc_now) -> None:
        self._auth = auth
        self._scopes = scopes
        self._clock = clock

    def on_start_sync(self, ctx: RequestContext[Any, Any]) -> None:
        """Set the caller of the RPC; raises `ConnectError` without a valid token or without the scope."""
        try:
            caller = authenticate(current_event.get(), self._auth, self._clock)
            caller.require(self._scopes[ctx.method.name])
        except Exception as error:  # noqa: BLE001 - the client gets an error to act on; the log has the cause
            _raise_connect_error(error, ctx)
        current_caller.set(caller)

    def on_end_sync(self, token: None, ctx: RequestContext[Any, Any], error: Exception | None) -> None:
        """Do nothing; Connect requires the method."""


class ErrorInterceptor:
    """Turns every exception of a method into a Connect error that does not reveal internals."""

    def intercept_unary_sync(
        self, call_next: Callable[[Any, RequestContext[Any, Any]], Any], request: Any, ctx: RequestContext[Any, Any]
    ) -> Any:
        """Return the response of the method; raises `ConnectError` for any exception."""
        try:
            return call_next(request, ctx)
        except Exception as error:  # noqa: BLE001 - the client gets an error to act on; the log has the cause
            _raise_connect_error(error, ctx)


def _raise_connect_error(error: Exception, ctx: RequestContext[Any, Any]) -> NoReturn:
    if isinstance(error, ConnectError):
        raise error
    refusal = error if isinstance(error, Refusal) else as_unavailable(error)
    if refusal is None:
        raise internal_error() from None
    if refusal.retry_after_seconds is not None:
        ctx.response_headers["retry-after"] = str(refusal.retry_after_seconds)
    raise connect_error(refusal) from None

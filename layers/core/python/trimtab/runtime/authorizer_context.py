"""The authorizer context, in which API Gateway passes the caller from the authorizer to a function."""

from collections.abc import Mapping
from typing import Any

from trimtab.kernel.caller import Caller
from trimtab.kernel.errors import Unauthenticated

LEEWAY_SECONDS = 30


def to_context(caller: Caller, expires_at: int) -> dict[str, str]:
    """Return the caller as the context of the authorizer's response."""
    return {
        "tenant_id": caller.tenant_id,
        "scope": " ".join(sorted(caller.scopes)),
        "user_id": caller.user_id or "",
        "subject": caller.subject,
        "exp": str(expires_at),
    }


def from_context(context: Mapping[str, Any], now: float) -> Caller:
    """Return the caller in the context; checks the expiry again, because API Gateway caches authorizer responses."""
    if now > int(context["exp"]) + LEEWAY_SECONDS:
        raise Unauthenticated("invalid_token", "The token has expired.")
    return Caller(
        context["tenant_id"],
        frozenset(str(context.get("scope", "")).split()),
        context.get("user_id") or None,
        str(context.get("subject", "")),
    )

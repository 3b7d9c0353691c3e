"""The caller as API Gateway hands it from the authorizer to the function: written and read in one place."""

from collections.abc import Mapping
from typing import Any

from trimtab.kernel.caller import Caller
from trimtab.kernel.errors import Unauthenticated

LEEWAY_SECONDS = 30


def to_context(caller: Caller, expires_at: int) -> dict[str, str]:
    """The caller as the authorizer's context, which API Gateway hands to the function behind it."""
    return {
        "tenant_id": caller.tenant_id,
        "scope": " ".join(sorted(caller.scopes)),
        "user_id": caller.user_id or "",
        "subject": caller.subject,
        "exp": str(expires_at),
    }


def from_context(context: Mapping[str, Any], now: float) -> Caller:
    """The caller that the gateway's authorizer found; it caches, so the expiry is looked at again."""
    if now > int(context["exp"]) + LEEWAY_SECONDS:
        raise Unauthenticated("invalid_token", "The token has expired.")
    return Caller(
        context["tenant_id"],
        frozenset(str(context.get("scope", "")).split()),
        context.get("user_id") or None,
        str(context.get("subject", "")),
    )

"""The verified identity behind a request."""

from msgspec import Struct

from trimtab.kernel.errors import Forbidden, not_found

ALL_TENANTS_SCOPE = "market:write"
"""The scope of work that changes every tenant: prices, assets, splits, and halts of all tenants."""

PLATFORM_SCOPES = frozenset({ALL_TENANTS_SCOPE, "operator", "webhooks:read", "webhooks:write"})
"""The scopes of the platform's own work, which no end user does: prices and assets, halts, repairs, webhooks."""


class Caller(Struct, frozen=True):
    """The tenant and the scopes of a verified token. The token of an end user also names the user (`user_id`).

    >>> Caller("demo", frozenset({"trades:read"})).require("trades:write")
    Traceback (most recent call last):
    trimtab.kernel.errors.Forbidden: insufficient_scope: The scope trades:write is required; use a token that has it.
    """

    tenant_id: str
    scopes: frozenset[str]
    user_id: str | None = None
    subject: str = ""

    def require(self, scope: str) -> None:
        """Raise `Forbidden` unless the token has the scope; an end user's token never has a scope of the platform."""
        if scope not in self.scopes:
            where = "of a platform tenant " if scope == ALL_TENANTS_SCOPE else ""
            raise Forbidden("insufficient_scope", f"The scope {scope} is required; use a token {where}that has it.")
        if scope in PLATFORM_SCOPES:
            self.require_platform()

    def require_platform(self) -> None:
        """Raise `Forbidden` for the token of an end user."""
        if self.user_id is not None:
            raise Forbidden("not_for_end_users", "Only the platform may do this; this token acts for an end user.")

    def require_acting_for(self, user_id: str) -> None:
        """Raise `Forbidden` if the token belongs to another end user."""
        if self.user_id is not None and self.user_id != user_id:
            raise Forbidden("other_user", "The token of an end user may act for that user only.")

    def require_owner(self, user_id: str, resource: str) -> None:
        """Raise `NotFound` if an end user asks for another user's resource, as if the resource did not exist."""
        if self.user_id is not None and self.user_id != user_id:
            raise not_found(resource)

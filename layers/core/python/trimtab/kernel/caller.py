"""Who asks: the verified identity behind a request."""

from msgspec import Struct

from trimtab.kernel.errors import Forbidden, no_such_thing


class Caller(Struct, frozen=True):
    """A verified token's tenant, its scopes and, for an end user, the only user it may see."""

    tenant_id: str
    scopes: frozenset[str]
    user_id: str | None = None
    subject: str = ""

    def require(self, scope: str) -> None:
        """`Forbidden` unless the token carries the scope."""
        if scope not in self.scopes:
            raise Forbidden("insufficient_scope", f"This needs the scope {scope}; ask for a token that carries it.")

    def require_acting_for(self, user_id: str) -> None:
        """`Forbidden` where an end user's token names another user."""
        if self.user_id is not None and self.user_id != user_id:
            raise Forbidden("other_user", "This token may act for its own user only.")

    def require_owner(self, user_id: str) -> None:
        """`NotFound` where an end user's token meets another user's thing: it does not exist for them."""
        if self.user_id is not None and self.user_id != user_id:
            raise no_such_thing()

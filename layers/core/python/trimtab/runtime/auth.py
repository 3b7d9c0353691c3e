"""Verification of bearer tokens, used by the authorizer and by functions behind a gateway without an authorizer."""

import urllib.request
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import jwt
from msgspec import Struct, field
from pydantic import BaseModel, ConfigDict, model_validator

from trimtab.kernel.caller import ALL_TENANTS_SCOPE, Caller
from trimtab.kernel.clock import Clock, utc_now
from trimtab.kernel.errors import Unauthenticated, Unavailable
from trimtab.kernel.ids import is_identifier
from trimtab.runtime.authorizer_context import LEEWAY_SECONDS
from trimtab.runtime.observability import logger

ALGORITHMS = ("RS256", "ES256")
MAX_TOKEN_LENGTH = 8192
KEYS_FRESH_FOR = timedelta(minutes=10)
KEYS_REFETCH_AFTER = timedelta(seconds=10)
MAX_JWKS_BYTES = 64 * 1024


class Claims(BaseModel):
    """The names of the claims that hold tenant, user and scopes in the tokens of an issuer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: str = "tenant_id"
    user: str = "user_id"
    scope: str = "scope"


class AuthSettings(BaseModel):
    """The conditions for accepting a token: issuer, audience, signing keys and claim names.

    Exactly one of `jwks_url` (https) and `jwks_parameter` (SSM) locates the keys. For an issuer whose access tokens
    have no audience (Cognito), `client_ids` restricts the clients instead. `client_tenants` gives the tenant of machine
    clients whose tokens have no tenant claim. Only tokens of `platform_tenants` have the scope `market:write`, whatever
    the token says.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str
    audience: str | None = None
    client_ids: tuple[str, ...] = ()
    jwks_url: str | None = None
    jwks_parameter: str | None = None
    scope_prefix: str = ""
    claims: Claims = Claims()
    client_tenants: Mapping[str, str] = {}
    platform_tenants: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_bound(self) -> "AuthSettings":
        if (self.jwks_url is None) == (self.jwks_parameter is None):
            raise ValueError("set exactly one of jwks_url and jwks_parameter")
        if self.jwks_url is not None and not self.jwks_url.startswith("https://"):
            raise ValueError("jwks_url must be https")
        if self.audience is None and not self.client_ids:
            raise ValueError("set audience or client_ids")
        return self


class KeySet(Struct):
    """The public keys of the issuer by `kid`, fetched on first use and again when old or when a kid is unknown.

    A rotated key is found without a restart. Unknown kids cause at most one fetch every ten seconds. If a fetch fails,
    the known keys stay in use.
    """

    fetch: Callable[[], str]
    clock: Clock = utc_now
    _keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    _tried_at: Any = None

    def get(self, kid: str) -> jwt.PyJWK:
        """Return the key with the id; raises `Unauthenticated` for an unknown id, `Unavailable` without keys.

        The refusal of an id that no fetch has looked for yet says when to retry.
        """
        age = None if self._tried_at is None else self.clock() - self._tried_at
        is_due = age is None or age >= (KEYS_FRESH_FOR if kid in self._keys else KEYS_REFETCH_AFTER)
        if is_due:
            self._refresh()
        if not self._keys:
            raise Unavailable(
                "keys_unavailable",
                "Tokens cannot be verified now. Retry the request.",
                retry_after_seconds=10,
            )
        if kid not in self._keys:
            raise Unauthenticated(
                "invalid_token",
                "The token is signed with a key that the issuer does not publish.",
                retry_after_seconds=None if is_due else int(KEYS_REFETCH_AFTER.total_seconds()),
            )
        return self._keys[kid]

    def _refresh(self) -> None:
        self._tried_at = self.clock()
        try:
            keys = jwt.PyJWKSet.from_json(self.fetch()).keys
        except Exception:  # noqa: BLE001
            # Whatever the cause (network, permissions, a malformed document), the known keys stay in use.
            logger.exception("cannot fetch the keys of the issuer")
            return
        self._keys = {str(key.key_id): key for key in keys if _signs(key)}


def _signs(key: jwt.PyJWK) -> bool:
    return bool(key.key_id) and key.algorithm_name in ALGORITHMS and key.public_key_use in {None, "sig"}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Rejects redirects: the address of the keys must not lead to another address."""

    def redirect_request(self, *_: Any) -> None:
        """Return None: no redirect is followed."""


class Verifier(Struct, frozen=True):
    """Verifies bearer tokens."""

    settings: AuthSettings
    keys: KeySet

    def verify(self, authorization: str | None) -> tuple[Caller, int]:
        """Return the caller of an Authorization header and the expiry of the token (Unix seconds).

        Raises `Unauthenticated` for a missing or invalid token.
        """
        claims = self._claims(_bearer(authorization))
        return self._caller(claims), int(claims["exp"])

    def _claims(self, token: str) -> dict[str, Any]:
        settings = self.settings
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS or not isinstance(header.get("kid"), str):
                raise Unauthenticated("invalid_token", "Sign the token with RS256 or ES256, and name the key (`kid`).")
            claims: dict[str, Any] = jwt.decode(
                token,
                self.keys.get(header["kid"]),
                algorithms=list(ALGORITHMS),
                issuer=settings.issuer,
                audience=settings.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss"], "verify_aud": settings.audience is not None},
            )
        except jwt.ImmatureSignatureError:
            raise Unauthenticated(
                "invalid_token",
                "The token is not valid yet. Check the clock of the issuer.",
                retry_after_seconds=LEEWAY_SECONDS,
            ) from None
        except jwt.PyJWTError as error:
            logger.info("token refused", reason=type(error).__name__)
            raise Unauthenticated("invalid_token", "The token is invalid or has expired.") from None
        if settings.client_ids and claims.get("client_id", claims.get("azp")) not in settings.client_ids:
            raise Unauthenticated("invalid_token", "The token was issued to an unknown client.")
        return claims

    def _caller(self, claims: dict[str, Any]) -> Caller:
        names, client = self.settings.claims, str(claims.get("client_id", claims.get("azp", "")))
        tenant = claims.get(names.tenant) or self.settings.client_tenants.get(client)
        user = claims.get(names.user)
        if not isinstance(tenant, str) or not is_identifier(tenant):
            raise Unauthenticated("invalid_token", "The token has no tenant claim, and the client has no tenant.")
        if user is not None and (not isinstance(user, str) or not is_identifier(user)):
            raise Unauthenticated("invalid_token", "The user claim of the token is not a valid identifier.")
        scopes = claims.get(names.scope, "")
        prefix = self.settings.scope_prefix
        granted = frozenset(scope.removeprefix(prefix) for scope in _texts(scopes) if scope.startswith(prefix))
        if tenant not in self.settings.platform_tenants:
            granted -= {ALL_TENANTS_SCOPE}
        return Caller(tenant, granted, user, str(claims.get("sub", client)))


def _texts(scopes: object) -> list[str]:
    """Return the scopes of a claim that is a space-separated text or a list; any other value grants none."""
    if isinstance(scopes, str):
        return scopes.split()
    return [scope for scope in scopes if isinstance(scope, str)] if isinstance(scopes, list) else []


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_LENGTH:
        raise Unauthenticated("missing_token", "Send a token in the header `Authorization: Bearer <token>`.")
    return token.strip()


@lru_cache(maxsize=1)
def verifier(settings_json: str) -> Verifier:
    """Return the verifier for the setting AUTH, created once in each execution environment."""
    settings = AuthSettings.model_validate_json(settings_json)
    return Verifier(settings, KeySet(lambda: _fetch(settings)))


def _fetch(settings: AuthSettings) -> str:
    if settings.jwks_url is not None:
        with urllib.request.build_opener(_NoRedirect).open(settings.jwks_url, timeout=5) as answer:
            return str(answer.read(MAX_JWKS_BYTES), "utf-8")
    from trimtab.runtime.aws_client import aws_client  # noqa: PLC0415 - only keys in SSM need the SDK here

    parameter = aws_client("ssm").get_parameter(Name=settings.jwks_parameter or "")
    return str(parameter["Parameter"]["Value"])

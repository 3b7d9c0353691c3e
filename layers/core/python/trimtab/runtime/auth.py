"""The one verifier of tokens, used by the gateway's authorizer and by functions behind a gateway without one."""

import urllib.request
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import jwt
from msgspec import Struct, field
from pydantic import BaseModel, ConfigDict, model_validator

from trimtab.kernel.caller import Caller
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
    """The names under which an issuer puts what we need."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: str = "tenant_id"
    user: str = "user_id"
    scope: str = "scope"


class AuthSettings(BaseModel):
    """Which tokens are believed: their issuer, whom they are meant for, where the keys are, how to read them.

    Exactly one of `jwks_url` (https) and `jwks_parameter` (SSM) names the keys. An issuer whose access tokens carry
    no audience (Cognito) is bound by `client_ids` instead. `client_tenants` maps machine clients whose tokens name
    no tenant.
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

    @model_validator(mode="after")
    def _is_bound(self) -> "AuthSettings":
        if (self.jwks_url is None) == (self.jwks_parameter is None):
            raise ValueError("name the keys by jwks_url or by jwks_parameter")
        if self.jwks_url is not None and not self.jwks_url.startswith("https://"):
            raise ValueError("jwks_url must be https")
        if self.audience is None and not self.client_ids:
            raise ValueError("bind the tokens by audience or by client_ids")
        return self


class KeySet(Struct):
    """The issuer's public keys by `kid`, fetched on first use and again when they are old or one is unknown.

    A new key is found without a restart; unknown kids cost at most one fetch every ten seconds; when a fetch fails,
    keys that are known go on being used.
    """

    fetch: Callable[[], str]
    clock: Clock = utc_now
    _keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    _tried_at: Any = None

    def get(self, kid: str) -> jwt.PyJWK:
        """The key of that id; `Unauthenticated` if the issuer has none, `Unavailable` if the keys cannot be had."""
        age = None if self._tried_at is None else self.clock() - self._tried_at
        if age is None or age >= (KEYS_FRESH_FOR if kid in self._keys else KEYS_REFETCH_AFTER):
            self._refresh()
        if not self._keys:
            raise Unavailable(
                "keys_unavailable", "Tokens cannot be verified at the moment; try again.", retry_after_seconds=10
            )
        if kid not in self._keys:
            raise Unauthenticated("invalid_token", "The token is signed with a key that its issuer does not publish.")
        return self._keys[kid]

    def _refresh(self) -> None:
        self._tried_at = self.clock()
        try:
            keys = jwt.PyJWKSet.from_json(self.fetch()).keys
        except Exception:  # noqa: BLE001
            # Whatever kept the keys away (network, permissions, a broken document): say so, go on with what we have.
            logger.exception("the issuer's keys could not be fetched")
            return
        self._keys = {str(key.key_id): key for key in keys if _signs(key)}


def _signs(key: jwt.PyJWK) -> bool:
    return bool(key.key_id) and key.algorithm_name in ALGORITHMS and key.public_key_use in {None, "sig"}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An https address may not lead on to another one: a redirect is an error."""

    def redirect_request(self, *_: Any) -> None:
        """Never."""


class Verifier(Struct, frozen=True):
    """Turns a bearer token into a caller, or refuses it."""

    settings: AuthSettings
    keys: KeySet

    def verify(self, authorization: str | None) -> tuple[Caller, int]:
        """The caller behind an Authorization header, and when its token expires (Unix seconds)."""
        claims = self._claims(_bearer(authorization))
        return self._caller(claims), int(claims["exp"])

    def _claims(self, token: str) -> dict[str, Any]:
        settings = self.settings
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS or not isinstance(header.get("kid"), str):
                raise Unauthenticated("invalid_token", "Sign the token with RS256 or ES256 and name its key.")
            claims: dict[str, Any] = jwt.decode(
                token,
                self.keys.get(header["kid"]),
                algorithms=list(ALGORITHMS),
                issuer=settings.issuer,
                audience=settings.audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss"], "verify_aud": settings.audience is not None},
            )
        except jwt.PyJWTError as error:
            logger.info("token refused", reason=type(error).__name__)
            raise Unauthenticated("invalid_token", "The token is not valid here, or no longer.") from None
        if settings.client_ids and claims.get("client_id", claims.get("azp")) not in settings.client_ids:
            raise Unauthenticated("invalid_token", "The token was issued to a client that is not known here.")
        return claims

    def _caller(self, claims: dict[str, Any]) -> Caller:
        names, client = self.settings.claims, str(claims.get("client_id", claims.get("azp", "")))
        tenant = claims.get(names.tenant) or self.settings.client_tenants.get(client)
        user = claims.get(names.user)
        if not isinstance(tenant, str) or not is_identifier(tenant):
            raise Unauthenticated("invalid_token", "The token names no tenant, and its client is mapped to none.")
        if user is not None and (not isinstance(user, str) or not is_identifier(user)):
            raise Unauthenticated("invalid_token", "The token's user is not an identifier that is accepted here.")
        scopes = claims.get(names.scope, "")
        prefix = self.settings.scope_prefix
        granted = frozenset(scope.removeprefix(prefix) for scope in _texts(scopes) if scope.startswith(prefix))
        return Caller(tenant, granted, user, str(claims.get("sub", client)))


def _texts(scopes: object) -> list[str]:
    """Issuers write scopes as one text or as a list; anything else grants nothing."""
    if isinstance(scopes, str):
        return scopes.split()
    return [scope for scope in scopes if isinstance(scope, str)] if isinstance(scopes, list) else []


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_LENGTH:
        raise Unauthenticated("missing_token", "Send the header Authorization: Bearer <token>.")
    return token.strip()


@lru_cache(maxsize=1)
def verifier(settings_json: str) -> Verifier:
    """The verifier for the setting AUTH; made once in the life of a function."""
    settings = AuthSettings.model_validate_json(settings_json)
    return Verifier(settings, KeySet(lambda: _fetch(settings)))


def _fetch(settings: AuthSettings) -> str:
    if settings.jwks_url is not None:
        with urllib.request.build_opener(_NoRedirect).open(settings.jwks_url, timeout=5) as answer:
            return str(answer.read(MAX_JWKS_BYTES), "utf-8")
    import boto3  # noqa: PLC0415 - only this way of keeping keys needs it in the authorizer

    parameter = boto3.client("ssm").get_parameter(Name=settings.jwks_parameter or "")
    return str(parameter["Parameter"]["Value"])

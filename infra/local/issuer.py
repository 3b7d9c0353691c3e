"""The local OIDC issuer: an ES256 key pair, the published public key, and signed tokens."""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from infra.environments import load
from infra.local.environment import LocalError, client
from infra.settings import SCOPES, OidcIssuer

TOKEN_SECONDS = 12 * 3600
CLIENT_ID = "local"


class TokenIssuer:
    """Signs tokens with the private key in the file `path`. Only the owner may read the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> None:
        """Create the key pair unless the file exists."""
        if self._path.exists():
            return
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        self._path.write_bytes(pem)

    def publish(self, endpoint: str) -> None:
        """Store the public key set in the parameter that the deployed verifier reads."""
        client("ssm", endpoint).put_parameter(
            Name=_settings().jwks_parameter, Value=json.dumps(self.jwks()), Type="String", Overwrite=True
        )

    def jwks(self) -> dict[str, Any]:
        """Return the public key set (RFC 7517). The key id is the thumbprint of the key (RFC 7638)."""
        return {"keys": [self._public()]}

    def token(
        self,
        *,
        tenant: str = "demo",
        user_id: str | None = None,
        scopes: Sequence[str] = SCOPES,
        seconds: int = TOKEN_SECONDS,
        **claims: Any,
    ) -> str:
        """Return a signed token. A `user_id` restricts the token to that user; `claims` replace or add claims."""
        now, settings = int(time.time()), _settings()
        payload: dict[str, object] = {
            "iss": settings.issuer,
            "aud": settings.audience,
            "sub": user_id or CLIENT_ID,
            "client_id": CLIENT_ID,
            "tenant_id": tenant,
            "scope": " ".join(scopes),
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
        }
        if user_id:
            payload["user_id"] = user_id
        return jwt.encode({**payload, **claims}, self._private(), "ES256", headers={"kid": self._public()["kid"]})

    def _private(self) -> ec.EllipticCurvePrivateKey:
        try:
            key = serialization.load_pem_private_key(self._path.read_bytes(), password=None)
        except FileNotFoundError:
            raise LocalError("there is no local issuer: run `make up`") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise LocalError(f"{self._path} is not a key of the local issuer: delete the file and run `make up`")
        return key

    def _public(self) -> dict[str, Any]:
        key: dict[str, Any] = ECAlgorithm.to_jwk(self._private().public_key(), as_dict=True)
        return {**key, "kid": _thumbprint(key), "use": "sig", "alg": "ES256"}


@cache
def _settings() -> OidcIssuer:
    """Return the issuer in the environment file of the local cloud."""
    identity = load("local").identity
    if not isinstance(identity, OidcIssuer):
        raise LocalError('infra/environments/local.toml must name an issuer: `kind = "oidc"`')
    return identity


def _thumbprint(key: dict[str, Any]) -> str:
    required = {name: key[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(json.dumps(required, sort_keys=True, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

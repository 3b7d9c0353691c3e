"""The local OIDC issuer: one ES256 key pair, its public part where the verifier looks for it, and tokens on demand."""

import base64
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from infra.config import LOCAL_AUDIENCE, LOCAL_ISSUER, LOCAL_JWKS_PARAMETER, SCOPES
from infra.local.environment import LocalError, client

TOKEN_SECONDS = 12 * 3600
CLIENT_ID = "local"


class Issuer:
    """Mints tokens with the private key in `path`. The file is readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> None:
        """Makes the key pair, once."""
        if self._path.exists():
            return
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        self._path.write_bytes(pem)

    def publish(self, endpoint: str) -> None:
        """Puts the public key set where the deployed verifier reads it."""
        client("ssm", endpoint).put_parameter(
            Name=LOCAL_JWKS_PARAMETER, Value=json.dumps(self.jwks()), Type="String", Overwrite=True
        )

    def jwks(self) -> dict[str, Any]:
        """The public key set (RFC 7517); the key id is the key's thumbprint (RFC 7638)."""
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
        """A signed token. With a `user_id` it sees that user only; `claims` replace or add any claim."""
        now = int(time.time())
        payload: dict[str, object] = {
            "iss": LOCAL_ISSUER,
            "aud": LOCAL_AUDIENCE,
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
            raise LocalError("there is no local issuer yet: run `make up` first") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise LocalError(f"{self._path} is no key of the local issuer: delete it and run `make up`")
        return key

    def _public(self) -> dict[str, Any]:
        key: dict[str, Any] = ECAlgorithm.to_jwk(self._private().public_key(), as_dict=True)
        return {**key, "kid": _thumbprint(key), "use": "sig", "alg": "ES256"}


def _thumbprint(key: dict[str, Any]) -> str:
    required = {name: key[name] for name in ("crv", "kty", "x", "y")}
    digest = hashlib.sha256(json.dumps(required, sort_keys=True, separators=(",", ":")).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

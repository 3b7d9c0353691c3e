"""A test OIDC issuer: key pairs, a JWKS document in SSM, and valid and invalid tokens."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import boto3
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.system import ALL_SCOPES, AUTH


@dataclass(frozen=True)
class Key:
    """A key pair of the issuer with its key id."""

    kid: str
    algorithm: str
    private: Any

    def jwk(self) -> dict[str, Any]:
        """Return the public key as a member of the JWKS document."""
        kind = jwt.algorithms.RSAAlgorithm if self.algorithm == "RS256" else jwt.algorithms.ECAlgorithm
        public = kind.to_jwk(self.private.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def public_pem(self) -> bytes:
        """Return the public key as PEM."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return bytes(self.private.public_key().public_bytes(serialization.Encoding.PEM, form))


@lru_cache
def rsa_key(kid: str = "rsa-1") -> Key:
    """Return an RS256 key pair; the same id returns the same key pair during a test run."""
    return Key(kid, "RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048))


@lru_cache
def ec_key(kid: str = "ec-1") -> Key:
    """Return an ES256 key pair."""
    return Key(kid, "ES256", ec.generate_private_key(ec.SECP256R1()))


def jwks(*keys: Key) -> str:
    """Return the JWKS document of these keys."""
    return json.dumps({"keys": [key.jwk() for key in keys]})


def publish(*keys: Key) -> None:
    """Store the JWKS document in the SSM parameter that the verifier of the test system reads."""
    document = jwks(*(keys or (rsa_key(), ec_key())))
    boto3.client("ssm").put_parameter(Name=AUTH["jwks_parameter"], Value=document, Type="String", Overwrite=True)


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a valid token of the tenant `demo`, with changes; None removes a claim."""
    now = int(time.time())
    good = {
        "iss": AUTH["issuer"],
        "aud": AUTH["audience"],
        "sub": "client-1",
        "iat": now,
        "exp": now + 600,
        "tenant_id": "demo",
        "scope": ALL_SCOPES,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def mint(key: Key | None = None, *, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a signed token with changed claims; None removes a claim."""
    signer = key or rsa_key()
    return jwt.encode(
        claims(**changes), signer.private, signer.algorithm, headers={"kid": signer.kid, **(headers or {})}
    )


def raw(header: Any, payload: Any, secret: bytes | None = None) -> str:
    """Return a token with this header and payload, signed with HMAC if `secret` is given, else unsigned."""
    signed = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(payload).encode())}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest() if secret is not None else b""
    return f"{signed}.{_part(signature)}"


def bearer(token: str) -> dict[str, str]:
    """Return the Authorization header for a token."""
    return {"Authorization": f"Bearer {token}"}


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def bad_tokens() -> dict[str, str | None]:
    """Return Authorization headers that must be refused, by the defect of each."""
    now, good, key = int(time.time()), mint(), rsa_key()
    head, body, signature = good.split(".")
    forged = _part(json.dumps(claims(tenant_id="other")).encode())
    tokens: dict[str, str] = {
        "alg none": raw({"alg": "none", "kid": key.kid}, claims()),
        "alg None": raw({"alg": "None", "kid": key.kid}, claims()),
        "no alg": raw({"kid": key.kid}, claims()),
        "HS256 with the public key as secret": raw({"alg": "HS256", "kid": key.kid}, claims(), key.public_pem()),
        "RS256 claimed over HMAC": raw({"alg": "RS256", "kid": key.kid}, claims(), key.public_pem()),
        "ES256 claimed for an RSA key": raw({"alg": "ES256", "kid": key.kid}, claims(), b"x"),
        "RS512": jwt.encode(claims(), key.private, "RS512", headers={"kid": key.kid}),
        "expired": mint(exp=now - 60),
        "no expiry": mint(exp=None),
        "not yet valid": mint(nbf=now + 600),
        "issued in the future": mint(iat=now + 600),
        "another issuer": mint(iss="https://evil.example"),
        "no issuer": mint(iss=None),
        "another audience": mint(aud="other"),
        "no audience": mint(aud=None),
        "unknown kid": mint(headers={"kid": "nobody"}),
        "no kid": jwt.encode(claims(), key.private, "RS256"),
        "the key of somebody else": mint(rsa_key("stranger"), headers={"kid": key.kid}),
        "a key in its own header": mint(rsa_key("stranger"), headers={"jwk": rsa_key("stranger").jwk()}),
        "changed claims": f"{head}.{forged}.{signature}",
        "no signature": f"{head}.{body}.",
        "a critical header": mint(headers={"crit": ["exp"], "exp": 1}),
        "no tenant": mint(tenant_id=None),
        "a tenant that forges a key": mint(tenant_id="demo#P"),
        "a tenant in Cyrillic": mint(tenant_id="d\u0435mo"),
        "a tenant that is a list": mint(tenant_id=["demo"]),
        "a user that is no identifier": mint(user_id="a#b"),
        "a user that is a number": mint(user_id=1),
        "an empty user": mint(user_id=""),
        "oversize": mint(padding="x" * 8192),
        "an array for a header": raw([], claims()),
        "a header nested deep": _part(b"[" * 5900) + ".e30.c2ln",
        "claims that are no object": raw({"alg": "RS256", "kid": key.kid}, []),
        "not ASCII": "é.é.é",
        "two parts": "a.b",
        "one part": "x",
        "digits without end": _part(b'{"alg":"RS256","kid":"x","n":' + b"9" * 5500 + b"}") + ".e30.c2ln",
    }
    headers: dict[str, str | None] = {name: f"Bearer {token}" for name, token in tokens.items()}
    return headers | {
        "no header": None,
        "an empty header": "",
        "no token": "Bearer",
        "a blank token": "Bearer  ",
        "another scheme": f"Basic {good}",
        "no scheme": good,
        "two tokens": f"Bearer {good} {good}",
    }

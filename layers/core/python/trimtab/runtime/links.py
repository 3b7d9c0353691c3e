"""Signed links: stateless tokens that carry a payload and an expiry, authenticated by an HMAC.

A token is base64url of `version (1 byte) | expiry (8 bytes, Unix seconds) | payload (JSON) | HMAC-SHA256 (32 bytes)`.
The payload is not encrypted: every holder of the token can read the payload.
"""

import binascii
import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime

from trimtab.kernel.errors import Forbidden

MAX_TOKEN_LENGTH = 2048
MIN_KEY_BYTES = 32
_VERSION = b"\x01"
_EXPIRY_BYTES = 8
_MAC_BYTES = 32
_HEAD = len(_VERSION) + _EXPIRY_BYTES
_PURPOSE = b"trimtab signed link\x00"  # domain separation: MACs of the same key for other purposes differ


def sign(payload: Mapping[str, str], expires_at: datetime, key: bytes) -> str:
    """Return the URL-safe token of a payload, valid before `expires_at` (rounded down to whole seconds).

    Equal arguments give equal tokens. Raises `ValueError` for a key under 32 bytes, for a time without an offset and
    for a payload whose token would exceed 2048 characters.
    """
    seconds = int(_aware(expires_at).timestamp())
    text = json.dumps(dict(payload), sort_keys=True, separators=(",", ":")).encode()
    signed = _VERSION + seconds.to_bytes(_EXPIRY_BYTES, "big") + text
    token = _encoded(signed + _mac(signed, key))
    if len(token) > MAX_TOKEN_LENGTH:
        raise ValueError(f"the payload makes a token of more than {MAX_TOKEN_LENGTH} characters")
    return token


def verify(token: str, now: datetime, key: bytes) -> Mapping[str, str]:
    """Return the payload of a token that was signed with the key and has not expired at `now`.

    Raises `Forbidden`: `expired_link` for an authentic token that has expired, and `invalid_link` without further
    detail for any other token, so that an attacker learns nothing from attempts.
    """
    content = _decoded(token)
    signed, mac = content[:-_MAC_BYTES], content[-_MAC_BYTES:]
    is_ours = hmac.compare_digest(mac, _mac(signed, key))
    if not is_ours or len(signed) < _HEAD or not signed.startswith(_VERSION):
        raise _invalid()
    if _aware(now).timestamp() >= int.from_bytes(signed[len(_VERSION) : _HEAD], "big"):
        raise Forbidden("expired_link", "The link has expired; request a new link.")
    payload: dict[str, str] = json.loads(signed[_HEAD:])
    return payload


def _mac(signed: bytes, key: bytes) -> bytes:
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a signing key has at least {MIN_KEY_BYTES} bytes")
    return hmac.digest(key, _PURPOSE + signed, hashlib.sha256)


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def _decoded(token: str) -> bytes:
    if len(token) > MAX_TOKEN_LENGTH:
        raise _invalid()
    try:
        content = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        raise _invalid() from None
    if _encoded(content) != token:  # each content has exactly one token: no stray bits, no ignored characters
        raise _invalid()
    return content


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("a time needs its offset")
    return instant


def _invalid() -> Forbidden:
    return Forbidden("invalid_link", "The link is invalid or incomplete.")

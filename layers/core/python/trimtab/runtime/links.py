"""Signed links: a token that carries what it allows and until when, so that nothing has to be stored to check it.

A token is base64url of `version (1 byte) | expiry (8 bytes, Unix seconds) | payload (JSON) | HMAC-SHA256 (32 bytes)`.
The payload can be read by whoever holds the token: it is no place for secrets.
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
_PURPOSE = b"trimtab signed link\x00"  # a MAC made for anything else with the same key is worth nothing here


def sign(payload: Mapping[str, str], expires_at: datetime, key: bytes) -> str:
    """The token of this payload, valid before `expires_at` (whole seconds, rounded down); safe in a URL as it is.

    The same arguments make the same token. `ValueError` for a key under 32 bytes, a time without an offset and a
    payload that would make the token longer than 2048 characters: what is signed is the caller's own.
    """
    seconds = int(_aware(expires_at).timestamp())
    text = json.dumps(dict(payload), sort_keys=True, separators=(",", ":")).encode()
    signed = _VERSION + seconds.to_bytes(_EXPIRY_BYTES, "big") + text
    token = _encoded(signed + _mac(signed, key))
    if len(token) > MAX_TOKEN_LENGTH:
        raise ValueError(f"the payload makes a token of more than {MAX_TOKEN_LENGTH} characters")
    return token


def verify(token: str, now: datetime, key: bytes) -> Mapping[str, str]:
    """The payload that was signed with this key, if it has not expired at `now`.

    `Forbidden`: `expired_link` for a token of ours whose time is over, and one and the same `invalid_link` for
    everything else, so that trying tokens teaches nothing.
    """
    content = _decoded(token)
    signed, mac = content[:-_MAC_BYTES], content[-_MAC_BYTES:]
    is_ours = hmac.compare_digest(mac, _mac(signed, key))
    if not is_ours or len(signed) < _HEAD or not signed.startswith(_VERSION):
        raise _invalid()
    if _aware(now).timestamp() >= int.from_bytes(signed[len(_VERSION) : _HEAD], "big"):
        raise Forbidden("expired_link", "This link has expired; ask for a new one.")
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
    if _encoded(content) != token:  # one content has one token: no stray bits, no characters that decoding skips
        raise _invalid()
    return content


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("a time needs its offset")
    return instant


def _invalid() -> Forbidden:
    return Forbidden("invalid_link", "This link is not one of ours, or a part of it is missing.")

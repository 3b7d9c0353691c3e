"""Identifiers: the permitted characters, and ids and hashes derived from a request so that a retry gets the same."""

import hashlib
import json
import re
import unicodedata
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from trimtab.kernel import strict_json

_SYMBOL_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
ASSET_PATTERN = rf"\^?{_SYMBOL_PART}([/=]{_SYMBOL_PART})?"
"""Symbols as venues write them: `BRK.B`, an index as `^GSPC`, a pair as `BTC/USD`, a quoted kind as `EURUSD=X`.

No part begins with a dot, so that no symbol is a relative path; `#` separates the parts of keys. A slash is
percent-encoded in paths (`BTC%2FUSD`).
"""

ASSET_CLASS_PATTERN = rf"{ASSET_PATTERN}( {_SYMBOL_PART})*"
"""Assets and asset classes as allocations name them: a symbol, or words that single blanks separate (`US Bonds`)."""

MAX_ASSET_LENGTH = 32
IDENTIFIER_PATTERN = r"[A-Za-z0-9._:@|+/=~-]{1,128}"
"""Ids of other systems: names, e-mail addresses, UUIDs, Base64. `#` separates the parts of keys and is in no id."""

MAX_NAME_LENGTH = 100

_QUOTED = re.compile(r'"(?:[^"\\]|\\["\\])*"')
_KEY = re.compile(r"[ -~]{1,255}")
_NOT_IN_NAMES = {"Cc", "Cn", "Co", "Cs", "Zl", "Zp"}
_ASSET = re.compile(ASSET_PATTERN)
_IDENTIFIER = re.compile(IDENTIFIER_PATTERN)
_NAMESPACE = uuid.UUID("6f1dcb0c-5b0e-5a0e-9b59-0d3b6f1f2c11")


def is_asset(text: str) -> bool:
    """Return True if the text can name an asset: `ASSET_PATTERN` and at most 32 characters.

    >>> is_asset("BRK.B"), is_asset("BTC/USD"), is_asset("^GSPC"), is_asset("EURUSD=X")
    (True, True, True, True)
    >>> is_asset("A#B"), is_asset("A//B"), is_asset("../A")
    (False, False, False)
    """
    return len(text) <= MAX_ASSET_LENGTH and _ASSET.fullmatch(text) is not None


def is_identifier(text: str) -> bool:
    """Return True if the text can be an identifier: ASCII, 1 to 128 characters, no `#`, which separates parts of keys.

    >>> is_identifier("auth0|17"), is_identifier("Ada+1@example.com"), is_identifier("a#b")
    (True, True, False)
    """
    return _IDENTIFIER.fullmatch(text) is not None


def to_name(text: str) -> str:
    """Return a display name in the normal form NFC; raises `ValueError` for a text that cannot be a name.

    A name has 1 to 100 characters of any script, no control, private or unassigned characters, and no blanks at its
    ends.

    >>> to_name("Jose\u0301"), to_name("Test Portfolio")
    ('Jos\xe9', 'Test Portfolio')
    """
    name = unicodedata.normalize("NFC", text)
    if not 1 <= len(name) <= MAX_NAME_LENGTH or name != name.strip():
        raise ValueError(f"Use 1 to {MAX_NAME_LENGTH} characters, without blanks at the ends.")
    if any(unicodedata.category(character) in _NOT_IN_NAMES for character in name):
        raise ValueError("Use no control characters, line breaks or unassigned characters.")
    return name


def derive_id(*parts: str | int) -> str:
    """Return the UUID (version 5) of the parts: equal parts give equal ids, different parts different ids.

    >>> derive_id("demo", "1", "default")
    '265076e4-f1a0-5d1f-99a9-59a8b0e03f01'
    """
    return str(uuid.uuid5(_NAMESPACE, json.dumps(parts, separators=(",", ":"))))


def read_idempotency_key(header: str) -> str:
    """Return the request id of an Idempotency-Key header; raises `ValueError` for a text that cannot be a key.

    A key has 1 to 255 printable ASCII characters, and may be quoted (a string of RFC 8941, as in the IETF draft
    `draft-ietf-httpapi-idempotency-key-header`): both forms are the same key. A key that is no identifier is
    represented by an id derived from the key.

    >>> read_idempotency_key('"a-1"'), read_idempotency_key("a-1")
    ('a-1', 'a-1')
    >>> read_idempotency_key("order #1")
    '170b6376-5aa6-5604-a7a1-899e645fdd00'
    """
    text = header.strip()
    if _QUOTED.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    if not _KEY.fullmatch(text):
        raise ValueError("Use 1 to 255 printable ASCII characters, quoted or not.")
    return text if is_identifier(text) else derive_id("idempotency-key", text)


def fingerprint(*parts: object) -> str:
    """Return 128 bits of SHA-256 over the parts as canonical JSON, in hexadecimal."""
    text = json.dumps(parts, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def request_hash(version: int, fields: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Return `<version>:<hash>` over the named fields of a request, to tell a repeated request from a different one.

    Fields that are None or equal to their default are left out, so that a new optional field changes no stored hash.

    >>> request_hash(1, {"symbol": "A", "fee": None}) == request_hash(1, {"symbol": "A"})
    True
    >>> request_hash(1, {"symbol": "A", "side": "BUY"}, {"side": "BUY"}) == request_hash(1, {"symbol": "A"})
    True
    """
    given = {name: value for name, value in fields.items() if value is not None and value != defaults.get(name)}
    text = strict_json.dumps(given, sort_keys=True)
    return f"{version}:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def is_same_request(stored: str, hash_of: Callable[[int], str]) -> bool:
    """Return True if a request has the stored hash.

    `hash_of` computes the hash of the request in a given version; the version of the stored hash is used.
    """
    return hash_of(int(stored.partition(":")[0])) == stored

"""Identifiers: what may be one, and how one is derived, so that a repeat of a request names the same thing."""

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from trimtab.kernel import strict_json

ASSET_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}"
IDENTIFIER_PATTERN = r"[A-Za-z0-9._:@|-]{1,64}"

_ASSET = re.compile(ASSET_PATTERN)
_IDENTIFIER = re.compile(IDENTIFIER_PATTERN)
_NAMESPACE = uuid.UUID("6f1dcb0c-5b0e-5a0e-9b59-0d3b6f1f2c11")


def is_asset(text: str) -> bool:
    """Whether the text can name an asset: ASCII, no `#`, at most 32 characters."""
    return _ASSET.fullmatch(text) is not None


def is_identifier(text: str) -> bool:
    """Whether the text can be an identifier: ASCII, no `#`, so that none can forge a key."""
    return _IDENTIFIER.fullmatch(text) is not None


def derive_id(*parts: str | int) -> str:
    """The UUID (version 5) of the parts: the same parts always, and no others, give the same id."""
    return str(uuid.uuid5(_NAMESPACE, json.dumps(parts, separators=(",", ":"))))


def fingerprint(*parts: object) -> str:
    """128 bits of SHA-256 over the parts as canonical JSON, in hexadecimal: tells a repeat from another body."""
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
    """Return whether a request has the stored hash; `hash_of` computes its hash in the version of the stored one."""
    return hash_of(int(stored.partition(":")[0])) == stored

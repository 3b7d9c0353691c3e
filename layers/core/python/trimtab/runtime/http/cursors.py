"""Cursors: opaque positions in lists, authenticated by an HMAC that binds each to one query.

A cursor is base64url of `HMAC-SHA256, cut to 16 bytes | position (JSON)`. The HMAC covers query and position. No client
can make a cursor, because the key is a secret of the deployment.
"""

import binascii
import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import Any

from trimtab.kernel.errors import invalid_cursor
from trimtab.runtime.secrets import read_secret
from trimtab.runtime.settings import Settings

_MAC_BYTES = 16
_PURPOSE = b"trimtab cursor\x00"  # domain separation: MACs of the same key for other purposes differ
_CURSOR = re.compile(r"[A-Za-z0-9_-]{1,1024}")


class CursorSettings(Settings):
    """The secret with the key of cursors."""

    cursors_secret_id: str


@lru_cache(maxsize=1)
def cursor_key() -> bytes:
    """Return the key of cursors, read with the first cursor of an execution environment."""
    return read_secret(CursorSettings.load().cursors_secret_id).encode()


def encode_cursor(position: Any, *query: str) -> str | None:
    """Return the cursor of a position, bound to the query (tenant first) that the next page continues."""
    if position is None:
        return None
    text = _json(position)
    return urlsafe_b64encode(_mac(text, query) + text).decode().rstrip("=")


def decode_cursor(cursor: str | None, *query: str) -> Any:
    """Return the position in a cursor of the same query, None for no cursor; raises `Invalid` for any other text."""
    if cursor is None:
        return None
    if not _CURSOR.fullmatch(cursor):
        raise invalid_cursor()
    try:
        content = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except binascii.Error:
        raise invalid_cursor() from None
    mac, text = content[:_MAC_BYTES], content[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(text, query)):
        raise invalid_cursor()
    return json.loads(text)


def _mac(text: bytes, query: tuple[str, ...]) -> bytes:
    content = _PURPOSE + _json(query) + b"\x00" + text
    return hmac.digest(cursor_key(), content, hashlib.sha256)[:_MAC_BYTES]


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

"""Cursors: opaque positions in lists, bound to one query."""

import base64
import binascii
import json
import re
from typing import Any

from trimtab.kernel import ids
from trimtab.kernel.errors import invalid_cursor


def encode_cursor(position: Any, *query: str) -> str | None:
    """Return the cursor of a position, bound to the query (tenant first) that the next page continues."""
    if position is None:
        return None
    text = json.dumps([ids.fingerprint(*query), position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, *query: str) -> Any:
    """Return the position in a cursor of the same query, None for no cursor; raises `Invalid` for any other text.

    A position holds no partition key, so a forged cursor stays within the data that the caller may read.
    """
    if cursor is None:
        return None
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,1024}", cursor):
        raise invalid_cursor()
    try:
        bound_to, position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise invalid_cursor() from None
    if bound_to != ids.fingerprint(*query) or not _is_position(position):
        raise invalid_cursor()
    return position


def _is_position(position: Any) -> bool:
    return isinstance(position, list) and all(isinstance(part, str | int) for part in position)

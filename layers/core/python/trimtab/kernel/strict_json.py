"""Strict JSON: input is bounded in size and depth, numbers are exact decimals, keys are unique, NaN is rejected."""

import json
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid, TooLarge
from trimtab.kernel.money import parse_json_number, plain

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32

# The closing quote is optional so that a match never backtracks; the parser rejects unterminated strings.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.?)*"?|[\[\]{}]', re.DOTALL)


def loads(text: str, max_bytes: int = MAX_BYTES) -> Any:
    """Return the value of a JSON text; numbers become Decimal. Raises `TooLarge` above the size limit, else `Invalid`.

    Size and depth are checked before the text is parsed, so that a hostile text costs a single scan.

    >>> loads('{"price": 12.50}')
    {'price': Decimal('12.50')}
    """
    if len(text) > max_bytes or len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise TooLarge("body_too_large", f"The limit is {max_bytes} bytes.")
    _check_depth(text)
    try:
        return json.loads(
            text,
            parse_float=parse_json_number,
            parse_int=parse_json_number,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except json.JSONDecodeError as error:
        raise Invalid(
            "invalid_json", f"Invalid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None


def dumps(value: Any, *, sort_keys: bool = False) -> str:
    """Return the value as compact JSON; decimals, times and days are written as the text of `plain_text`.

    >>> dumps({"price": Decimal("1E+2"), "day": date(2026, 1, 31)})
    '{"price":"100","day":"2026-01-31"}'
    """
    return json.dumps(value, separators=(",", ":"), sort_keys=sort_keys, default=plain_text)


def plain_text(value: object) -> str:
    """Return a decimal without exponent, a time in UTC with microseconds, a day in ISO 8601.

    Raises `TypeError` for any other type, as the `default` of `json.dumps` must.
    """
    match value:
        case Decimal():
            return plain(value)
        case datetime():
            return format_time(value)
        case date():
            return value.isoformat()
    raise TypeError(f"Cannot write a {type(value).__name__} as JSON.")


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return  # as in most texts: there are too few brackets for a deeper nesting
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        first = token.group()[0]
        if first in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Invalid("too_deep", f"The limit is {MAX_DEPTH} levels of nesting.")
        elif first in "]}":
            depth -= 1


def _refuse_constant(name: str) -> None:
    raise Invalid("invalid_number", f"{name} is not a permitted number.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Invalid("duplicate_key", "An object contains the same key twice.")
    return members

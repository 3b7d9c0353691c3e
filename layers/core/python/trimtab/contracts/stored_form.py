"""Stored forms: how a value becomes named attributes or named JSON text, and how later releases read both.

Every item has the number attribute `v`, the version of its form. A reader matches the versions it knows and raises
`UnknownForm` otherwise. A member with a default can be added without a new version: older items do not have the
member and get the default, and members that a reader does not know are ignored.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from trimtab.kernel import strict_json

T = TypeVar("T")

FORM = "v"
_WRITTEN_HERE = (Decimal, datetime, date)


class UnknownForm(ValueError):
    """Raised for a stored item or text whose form version this release cannot read."""

    def __init__(self, kind: str, version: object) -> None:
        super().__init__(f"Cannot read {kind}: unknown form version {version!r}.")
        self.kind = kind
        self.version = version


def form_version(item: Mapping[str, Any]) -> int | None:
    """Return the form version of a stored item, None where the item has none."""
    return item.get(FORM)


def to_attributes(value: Any) -> dict[str, Any]:
    """Return the members of a Struct by name as plain values, without those that are None.

    Decimals, times and days become text; enums become their values; nested Structs and mappings become maps.
    """
    members: dict[str, Any] = _texts(msgspec.to_builtins(value, builtin_types=_WRITTEN_HERE))
    return {name: member for name, member in members.items() if member is not None}


def from_attributes(attributes: Mapping[str, Any], type: type[T]) -> T:
    """Return the value that the named attributes hold; attributes that `type` does not have are ignored.

    Raises `msgspec.ValidationError` if an attribute is missing or does not fit.
    """
    return msgspec.convert(attributes, type)


def pack(value: Any) -> str:
    """Return a value as compact JSON text with named members, in the plain values of `to_attributes`."""
    return strict_json.dumps(msgspec.to_builtins(value, builtin_types=_WRITTEN_HERE))


def unpack(text: str, type: type[T]) -> T:
    """Return the value in a packed text; members that `type` does not have are ignored."""
    return msgspec.json.decode(text, type=type)


def _texts(value: Any) -> Any:
    match value:
        case dict():
            return {name: _texts(member) for name, member in value.items()}
        case list() | tuple():
            return [_texts(member) for member in value]
        case Decimal() | date():
            return strict_json.plain_text(value)
    return value

"""Stored forms: how a value becomes named attributes or named JSON text, and how later releases read both.

Every item has the number attribute `v`, the version of its form. A reader matches the versions it knows and raises
`UnknownForm` otherwise. A member with a default can be added without a new version: older items do not have the
member and get the default, and members that a reader does not know are ignored.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

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

    Decimals, fractions, times and days become text; enums become their values; nested Structs and mappings become maps.
    """
    members: dict[str, Any] = _texts(msgspec.to_builtins(value, builtin_types=_WRITTEN_HERE, enc_hook=_write_fraction))
    return {name: member for name, member in members.items() if member is not None}


def from_attributes(attributes: Mapping[str, Any], type: type[T]) -> T:
    """Return the value that the named attributes hold; attributes that `type` does not have are ignored.

    Raises `msgspec.ValidationError` if an attribute is missing or does not fit.
    """
    return msgspec.convert(attributes, type, dec_hook=_read_fraction)


def pack(value: Any) -> str:
    """Return a value as compact JSON text with named members, in the plain values of `to_attributes`."""
    return strict_json.dumps(msgspec.to_builtins(value, builtin_types=_WRITTEN_HERE))


def unpack(text: str, type: type[T]) -> T:
    """Return the value in a packed text; members that `type` does not have are ignored."""
    return msgspec.json.decode(text, type=type)


class Table(Struct, frozen=True):
    """Structs of one class as rows of values below column names that are written once.

    A table takes about half the bytes of one object for each value, where write units count. Values at the end of a
    row that equal their defaults are left out.
    """

    columns: list[str]
    rows: list[list[Any]]

    def named_rows(self) -> Iterator[dict[str, Any]]:
        """Yield each row by the names of its columns, without the values that were left out."""
        return (dict(zip(self.columns, row, strict=False)) for row in self.rows)


def to_table(
    values: Iterable[Struct], type: type[Struct], *, without: Collection[str] = (), optional: Collection[str] = ()
) -> Table:
    """Return the values as a table whose columns are the members of `type`, except those in `without`.

    Columns in `optional` are left out where every value has the default.

    >>> class Line(Struct):
    ...     name: str
    ...     count: int = 1
    >>> to_table([Line("a", 2), Line("b")], Line)
    Table(columns=['name', 'count'], rows=[['a', 2], ['b']])
    """
    required = len(type.__struct_fields__) - len(type.__struct_defaults__)
    defaults = dict(zip(type.__struct_fields__[required:], type.__struct_defaults__, strict=True))
    values = tuple(values)
    unused = {name for name in optional if all(getattr(value, name) == defaults[name] for value in values)}
    columns = [name for name in type.__struct_fields__ if name not in {*without, *unused}]
    rows = []
    for value in values:
        row = [getattr(value, name) for name in columns]
        while row and columns[len(row) - 1] in defaults and row[-1] == defaults[columns[len(row) - 1]]:
            row.pop()
        rows.append(row)
    return Table(columns, rows)


def _write_fraction(value: Any) -> str:
    if not isinstance(value, Fraction):
        raise TypeError(f"{type(value).__name__} has no stored form.")
    return str(value)


def _read_fraction(wanted: type[Any], value: Any) -> Fraction:
    if wanted is not Fraction or not isinstance(value, str):
        raise TypeError(f"{wanted.__name__} has no stored form.")
    return Fraction(value)


def _texts(value: Any) -> Any:
    match value:
        case dict():
            return {name: _texts(member) for name, member in value.items()}
        case list() | tuple():
            return [_texts(member) for member in value]
        case Decimal() | date():
            return strict_json.plain_text(value)
    return value

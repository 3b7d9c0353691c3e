"""Entries of an imported file: the rows of any layout, in the members of the requests that record them."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from trimtab.kernel import ids


class EntryKind(StrEnum):
    """Kind of an entry that an import records."""

    TRADE = "trade"
    CASH = "cash"


class FileEntry(Struct, frozen=True):
    """A row of a file: texts by member of the request to record a trade or to move cash.

    `kind` is None for a row that no import records, such as a stock split; `label` is the name that the broker gives to
    the row, and `advice` tells how to record a row that changes holdings. `fault` is the column (empty: the whole line)
    and the reason of a row that cannot be read. `earlier` holds the members that an earlier release read from the same
    row, where they differ: ids are derived from these.
    """

    line: int
    label: str = ""
    kind: EntryKind | None = None
    members: Mapping[str, str] = {}
    currency: str = ""
    fault: tuple[str, str] | None = None
    earlier: Mapping[str, str] | None = None
    advice: str = ""


class InvalidCell(Exception):
    """Raised for a cell that cannot be read, with the name of the column and the reason."""

    def __init__(self, column: str, detail: str) -> None:
        super().__init__(detail)
        self.fault = (column, detail)


class RefIds:
    """Derives the `ref_id` of rows without an id: the same row of the same or of an overlapping file gets the same id.

    Equal rows of one file, such as two fills in the same second, are told apart by their number.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._seen: Counter[str] = Counter()

    def derive(self, entry: FileEntry) -> str:
        """Return the id of the next row of the file."""
        row = ids.fingerprint(dict(entry.earlier or entry.members), entry.currency)
        self._seen[row] += 1
        return f"{self._prefix}-{ids.fingerprint(row, self._seen[row])}"

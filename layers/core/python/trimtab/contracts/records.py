"""Records: values stored as one item each, with a version for optimistic locking and the events of the newest write."""

from abc import abstractmethod
from typing import Any

from msgspec import Struct

from trimtab.contracts.events import Event, pack_events
from trimtab.contracts.stored_form import FORM

_NOT_COMPARED = frozenset({"events", "trace"})


class Record(Struct, frozen=True, kw_only=True):
    """A value stored as one item. Two records are equal if all members except `events` and a trace are equal.

    `version` counts the writes, from 1; a write succeeds only if the stored item has the version before (optimistic
    locking). `events` are the events of the newest write; they are stored in the item and published from the table's
    stream (transactional outbox).
    """

    version: int = 1
    events: tuple[Event, ...] = ()

    @abstractmethod
    def to_item(self) -> dict[str, Any]:
        """Return the item as plain values: keys, index keys, named attributes, `v`, `version` and `events`.

        Values that are None are not stored.
        """

    def record_attributes(self, form: int = 1) -> dict[str, Any]:
        """Return the attributes of every record: form version, record version and packed events."""
        return {FORM: form, "version": self.version, "events": pack_events(self.events)}

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__struct_fields__ if name not in _NOT_COMPARED)

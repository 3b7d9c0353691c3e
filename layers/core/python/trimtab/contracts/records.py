"""Records: what is stored as one item, whose version guards the next write and whose events go out after it."""

from typing import Any

from msgspec import Struct

from trimtab.contracts.events import Event


class Record(Struct, frozen=True, kw_only=True):
    """A value stored as one item. Two records are equal where all members but the events are."""

    version: int = 1
    events: tuple[Event, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__struct_fields__ if name != "events")

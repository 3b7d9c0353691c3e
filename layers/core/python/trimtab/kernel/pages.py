"""One page of a list, for every list of the platform."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")
U = TypeVar("U")


class Page(Struct, Generic[T], frozen=True):
    """Consecutive elements of a list, and the position at which the next page starts (None on the last page).

    A page may hold fewer elements than the limit asked for and still have a successor.
    """

    items: list[T]
    next_position: Any = None

    def map(self, convert: Callable[[T], U]) -> "Page[U]":
        """Return the page with every element converted."""
        return Page([convert(item) for item in self.items], self.next_position)

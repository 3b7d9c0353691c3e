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


def gather(read_page: Callable[[int, Any], Page[T]], limit: int, after: Any, *, page_size: int) -> Page[T]:
    """Return up to `limit` consecutive elements, read in pages of up to `page_size` from a list without a filter.

    `read_page` gets the size of a page and the position at which the page starts.
    """
    items: list[T] = []
    for _ in range(-(-limit // page_size) + 1):
        page = read_page(min(page_size, limit - len(items)), after)
        items += page.items
        after = page.next_position
        if after is None or len(items) >= limit:
            break
    return Page(items, after)

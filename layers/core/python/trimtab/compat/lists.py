"""Whole lists, for APIs without cursors: read page by page up to a bound."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from msgspec import Struct

from trimtab.kernel.pages import Page

T = TypeVar("T")
MAX_LISTED = 1_000
"""Elements of a list that are read at most."""

PAGE_SIZE = 100
MAX_PAGES = 40
"""Pages that are read at most; a page may have fewer elements than `PAGE_SIZE`."""


class BoundedList(Struct, Generic[T], frozen=True):
    """The first elements of a list; `is_whole` is False where elements were left out."""

    items: list[T]
    is_whole: bool


def read_list(read_page: Callable[[Any], Page[T]]) -> BoundedList[T]:
    """Return the first elements of a list, `MAX_LISTED` at most.

    `read_page` gets the position at which a page of `PAGE_SIZE` elements starts, None for the first page.
    """
    items: list[T] = []
    position = None
    for _ in range(MAX_PAGES):
        page = read_page(position)
        items += page.items
        position = page.next_position
        if position is None or len(items) >= MAX_LISTED:
            break
    return BoundedList(items[:MAX_LISTED], is_whole=position is None and len(items) <= MAX_LISTED)

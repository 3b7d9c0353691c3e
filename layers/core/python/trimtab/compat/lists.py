"""Whole lists, for APIs without cursors: read page by page up to a bound."""

from collections.abc import Callable
from typing import Any, TypeVar

from trimtab.kernel.pages import Page

T = TypeVar("T")
MAX_LISTED = 1_000
"""Elements of a list that are read at most."""

PAGE_SIZE = 100
MAX_PAGES = 40
"""Pages that are read at most; a page may have fewer elements than `PAGE_SIZE`."""


def read_list(read_page: Callable[[Any], Page[T]]) -> Page[T]:
    """Return the first elements of a list, `MAX_LISTED` at most, and the position of the next element if there is one.

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
    return Page(items[:MAX_LISTED], position)

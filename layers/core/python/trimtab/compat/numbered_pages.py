"""Pages by number, for APIs whose clients ask for `page` and `page_size` and follow `next` and `previous`."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from trimtab.kernel.errors import NotFound

DEFAULT_PAGE_SIZE = 10
MAX_PAGE_SIZE = 100


class PageRequest(Struct, frozen=True):
    """A page by its number, from 1, with the address and the filters of the list, which the links repeat."""

    number: int
    size: int
    url: str
    filters: Mapping[str, str | None]

    def link_to(self, number: int) -> str:
        """Return the address of another page of the same size."""
        given = {name: value for name, value in self.filters.items() if value is not None}
        return f"{self.url}?{urlencode({**given, 'page': number, 'page_size': self.size})}"

    def answer(self, items: Sequence[Any]) -> dict[str, Any]:
        """Return the page of a whole list. Raises `NotFound` for a number behind the last page.

        >>> PageRequest(2, 1, "https://example.com/trade", {}).answer(["a", "b", "c"])["previous"]
        'https://example.com/trade?page=1&page_size=1'
        """
        last = max(1, -(-len(items) // self.size))
        if self.number > last:
            raise NotFound("invalid_page", f"The list has {last} pages of {self.size}. Ask for one of these.")
        start = (self.number - 1) * self.size
        return {
            "count": len(items),
            "next": self.link_to(self.number + 1) if self.number < last else None,
            "previous": self.link_to(self.number - 1) if self.number > 1 else None,
            "results": list(items[start : start + self.size]),
        }

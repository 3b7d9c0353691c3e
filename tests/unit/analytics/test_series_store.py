"""The store of daily values reads every page."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast
from unittest import mock

import pytest

from trimtab.analytics.adapters import series_store
from trimtab.analytics.adapters.series_store import SeriesStore
from trimtab.kernel.errors import Unprocessable

FIRST = date(2020, 1, 1)


class OneItemPages:
    """A table with one day per page, as for very large items."""

    def __init__(self, days: int) -> None:
        self.days = days

    def query(self, **arguments: Any) -> dict[str, Any]:
        """Return the day after the last day of the page before."""
        start = arguments.get("ExclusiveStartKey")
        number = 0 if start is None else self._number(start) + 1
        day = (FIRST + timedelta(days=number)).isoformat()
        numbers = {name: {"S": "1"} for name in ("value", "cash", "flow")}
        item = {"pk": {"S": "p"}, "sk": {"S": f"VALUE#{day}"}, "v": {"N": "1"}, **numbers}
        more = {"LastEvaluatedKey": {"pk": item["pk"], "sk": item["sk"]}} if number + 1 < self.days else {}
        return {"Items": [item], **more}

    def _number(self, start: Any) -> int:
        return (date.fromisoformat(start["sk"]["S"].removeprefix("VALUE#")) - FIRST).days


def test_every_page_is_read_however_small_the_pages_are() -> None:
    store = SeriesStore(cast(Any, OneItemPages(60)), "analytics")
    found = store.daily_values("t", "p", FIRST, FIRST + timedelta(days=365))
    assert [value.day for value in found] == [FIRST + timedelta(days=number) for number in range(60)]
    assert found[-1].value == Decimal(1)


def test_too_many_pages_are_refused_and_never_cut_off() -> None:
    store = SeriesStore(cast(Any, OneItemPages(60)), "analytics")
    with mock.patch.object(series_store, "MAX_PAGES", 59), pytest.raises(Unprocessable):
        store.daily_values("t", "p", FIRST, FIRST + timedelta(days=365))

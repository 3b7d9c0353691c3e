"""The store of daily values reads to the end of them."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest

from trimtab.analytics.adapters import series
from trimtab.analytics.adapters.series import DynamoSeries
from trimtab.kernel.errors import Unprocessable

FIRST = date(2020, 1, 1)


class OneItemPages:
    """A table that gives one day a page, as one of very large items does."""

    def __init__(self, days: int) -> None:
        self.days = days

    def query(self, **arguments: Any) -> dict[str, Any]:
        """The day after the one that the page before ended with."""
        start = arguments.get("ExclusiveStartKey")
        number = 0 if start is None else self._number(start) + 1
        day = (FIRST + timedelta(days=number)).isoformat()
        numbers = {name: {"S": "1"} for name in ("value", "cash", "flow")}
        item = {"pk": {"S": "p"}, "sk": {"S": f"VALUE#{day}"}, **numbers}
        more = {"LastEvaluatedKey": {"pk": item["pk"], "sk": item["sk"]}} if number + 1 < self.days else {}
        return {"Items": [item], **more}

    def _number(self, start: Any) -> int:
        return (date.fromisoformat(start["sk"]["S"].removeprefix("VALUE#")) - FIRST).days


def test_every_page_is_read_however_small_the_pages_are() -> None:
    store: Any = DynamoSeries(OneItemPages(60), "analytics")  # type: ignore[arg-type]
    found = store.snapshots("t", "p", FIRST, FIRST + timedelta(days=365))
    assert [it.day for it in found] == [FIRST + timedelta(days=number) for number in range(60)]
    assert found[-1].value == Decimal(1)


def test_what_is_too_much_is_refused_and_never_cut_off() -> None:
    store: Any = DynamoSeries(OneItemPages(60), "analytics")  # type: ignore[arg-type]
    with mock.patch.object(series, "MAX_PAGES", 59), pytest.raises(Unprocessable):
        store.snapshots("t", "p", FIRST, FIRST + timedelta(days=365))

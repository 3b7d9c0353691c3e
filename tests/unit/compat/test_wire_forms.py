"""Ids, exact numbers, errors, bounded lists and pages, which all routes for clients of earlier systems share."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.support.compat import exact_json
from trimtab.compat.api import error_text, exact, number_response
from trimtab.compat.lists import MAX_LISTED, MAX_PAGES, BoundedList, read_list
from trimtab.compat.numbered_pages import PageRequest
from trimtab.compat.rebalancer import AddPortfolio, ReportWeights
from trimtab.kernel.errors import NotFound
from trimtab.kernel.pages import Page

TARGET = {"stocks": Decimal(60), "bonds": Decimal(40)}


@pytest.mark.parametrize("name", ["user_id", "UserID", "userId", "userID"])
@pytest.mark.parametrize("user_id", ["17", 17, Decimal(17)])
def test_every_spelling_of_a_user_and_a_number_are_the_same_user(name: str, user_id: Any) -> None:
    assert AddPortfolio.model_validate({name: user_id, "allocation": TARGET}).user_id == "17"
    assert ReportWeights.model_validate({name: user_id, "NewAllocation": TARGET}).user_id == "17"


@pytest.mark.parametrize("user_id", [True, None, Decimal("1.5"), [], "a#b", ""])
def test_what_is_no_id_is_refused(user_id: Any) -> None:
    with pytest.raises(ValidationError):
        AddPortfolio.model_validate({"user_id": user_id, "allocation": TARGET})


def test_unknown_members_are_ignored_and_weights_have_to_sum_to_100() -> None:
    known = AddPortfolio.model_validate({"user_id": "1", "allocation": TARGET, "created_at": "today"})
    assert known.to_domain().allocation == TARGET
    with pytest.raises(ValidationError, match="must be exactly 100"):
        AddPortfolio.model_validate({"user_id": "1", "allocation": {"stocks": Decimal(60)}})


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=9))
def test_a_number_is_written_digit_by_digit(number: Decimal) -> None:
    text = str(number_response([exact(number)]).body)
    assert exact_json(text) == [number]


def test_an_error_names_each_invalid_field() -> None:
    errors = [{"field": "stake", "detail": "Too low."}, {"field": "odds", "detail": "Too high."}]
    assert error_text({"detail": "See `errors`.", "errors": errors}) == {"error": "stake: Too low. odds: Too high."}
    assert error_text({"detail": "Not found: order."}) == {"error": "Not found: order."}


@pytest.mark.parametrize(
    ("length", "page_size"), [(0, 100), (250, 100), (MAX_LISTED, 100), (MAX_LISTED + 20, 90), (3 * MAX_LISTED, 90)]
)
def test_a_list_is_read_up_to_its_bound(length: int, page_size: int) -> None:
    numbers = list(range(length))

    def read_page(after: int | None) -> Page[int]:
        start = after or 0
        end = start + page_size
        return Page(numbers[start:end], end if end < length else None)

    assert read_list(read_page) == BoundedList(numbers[:MAX_LISTED], is_whole=length <= MAX_LISTED)


def test_pages_without_elements_do_not_go_on_for_ever() -> None:
    read = []

    def read_page(after: Any) -> Page[int]:
        read.append(after)
        return Page([], len(read))

    assert read_list(read_page) == BoundedList([], is_whole=False)
    assert len(read) == MAX_PAGES


def test_a_page_names_its_neighbours_with_the_filters_of_the_list() -> None:
    numbers = list(range(25))
    page = PageRequest(2, 10, "https://example.com/list", {"name": "José & co", "user_id": None}).answer(numbers)
    address = "https://example.com/list?name=Jos%C3%A9+%26+co&page={}&page_size=10"
    assert page == {"count": 25, "next": address.format(3), "previous": address.format(1), "results": numbers[10:20]}
    with pytest.raises(NotFound, match="3 pages of 10"):
        PageRequest(4, 10, "https://example.com/list", {}).answer(numbers)

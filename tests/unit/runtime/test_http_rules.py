"""Cursors, If-Match, and the authorizer context."""

import base64
import json
import traceback
from collections.abc import Iterator
from typing import Any, cast
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.kernel.caller import Caller
from trimtab.kernel.errors import Forbidden, Invalid, NotFound, PreconditionFailed, Unauthenticated
from trimtab.runtime.authorizer_context import LEEWAY_SECONDS, from_context, to_context
from trimtab.runtime.dynamodb.paging import Index, query_index
from trimtab.runtime.http import cursors
from trimtab.runtime.http.cursors import decode_cursor, encode_cursor
from trimtab.runtime.http.parameters import require_revision


@pytest.fixture(autouse=True, scope="module")
def key() -> Iterator[None]:
    with mock.patch.object(cursors, "cursor_key", return_value=b"c" * 64):
        yield


positions = st.lists(st.text(max_size=20) | st.integers(0, 1000), max_size=4)
queries = st.lists(st.text(max_size=8), min_size=1, max_size=3)


@given(positions, queries)
def test_a_cursor_leads_back_to_its_position(position: list[Any], query: list[str]) -> None:
    assert decode_cursor(encode_cursor(position, *query), *query) == position


@given(positions, queries, queries)
def test_a_cursor_of_another_query_is_refused(position: list[Any], query: list[str], other: list[str]) -> None:
    if query != other:
        with pytest.raises(Invalid):
            decode_cursor(encode_cursor(position, *query), *other)


def test_the_end_of_a_list_has_no_cursor_and_no_cursor_is_its_start() -> None:
    assert encode_cursor(None, "q") is None
    assert decode_cursor(None, "q") is None


def packed(value: Any) -> str:
    """The value in the form of a cursor."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(st.text(max_size=60) | st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5).map(packed))
def test_any_other_text_is_refused_as_a_cursor(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode_cursor(text, "q")
    assert refused.value.type == "invalid_cursor"


@given(positions, st.integers(0, 400))
def test_a_cursor_with_any_changed_byte_is_refused(position: list[Any], place: int) -> None:
    made = encode_cursor(position, "q") or ""
    content = bytearray(base64.urlsafe_b64decode(made + "=" * (-len(made) % 4)))
    content[place % len(content)] ^= 1
    with pytest.raises(Invalid):
        decode_cursor(base64.urlsafe_b64encode(content).decode().rstrip("="), "q")


def test_a_cursor_of_another_deployment_is_refused() -> None:
    with mock.patch.object(cursors, "cursor_key", return_value=b"d" * 64):
        made = encode_cursor([1], "q")
    with pytest.raises(Invalid):
        decode_cursor(made, "q")


def test_a_refused_position_leaves_nothing_behind_in_a_warm_function() -> None:
    index, nobody = Index("by_time", "pk", "by_time"), cast(Any, None)
    depths = []
    for _ in range(5):
        with pytest.raises(Invalid) as refused:
            query_index(nobody, "table", index, "p", limit=1, after=["too", "many", "parts"])
        depths.append(len(traceback.extract_tb(refused.value.__traceback__)))
    assert len(set(depths)) == 1, "the traceback grows, and with it every frame that it holds"


@pytest.mark.parametrize("header", [None, "*", " * ", '"7"', 'W/"7"', "7", '"1", "7"', '"1","7" '])
def test_if_match_lets_the_named_revision_pass(header: str | None) -> None:
    require_revision(header, 7)


@pytest.mark.parametrize("header", ['"6"', '"77"', '""', "", "7*", '"1", "2"', "w/7x"])
def test_if_match_stops_every_other_revision(header: str) -> None:
    with pytest.raises(PreconditionFailed, match="revision 7"):
        require_revision(header, 7)


@pytest.mark.parametrize(
    "caller",
    [
        Caller("demo", frozenset({"a:read", "a:write"}), "u1", "sub"),
        Caller("demo", frozenset(), None, ""),
    ],
)
def test_a_caller_survives_the_gateway(caller: Caller) -> None:
    context = to_context(caller, 1000)
    assert all(isinstance(value, str) for value in context.values()), "API Gateway passes texts only"
    assert from_context(context, 1000.0) == caller


def test_a_cached_caller_expires_with_its_token() -> None:
    context = to_context(Caller("demo", frozenset()), 1000)
    assert from_context(context, 1000 + LEEWAY_SECONDS)
    with pytest.raises(Unauthenticated, match="expired"):
        from_context(context, 1001 + LEEWAY_SECONDS)


def test_a_user_acts_for_itself_and_sees_nothing_else() -> None:
    user, machine = Caller("demo", frozenset(), "u1"), Caller("demo", frozenset())
    for caller in (user, machine):
        caller.require_acting_for("u1")
        caller.require_owner("u1", "portfolio")
    machine.require_acting_for("u2")
    with pytest.raises(Forbidden):
        user.require_acting_for("u2")
    with pytest.raises(NotFound):
        user.require_owner("u2", "portfolio")
    with pytest.raises(Forbidden, match="portfolios:read"):
        user.require("portfolios:read")

"""Strict JSON: input is bounded before parsing."""

import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from trimtab.kernel import strict_json
from trimtab.kernel.errors import Invalid, Refusal, TooLarge

LIMIT = strict_json.MAX_BYTES


def text_of_bytes(size: int, character: str = "x") -> str:
    """Return a JSON text of `size` bytes."""
    width = len(character.encode())
    return '"' + character * ((size - 2) // width) + "x" * ((size - 2) % width) + '"'


@pytest.mark.parametrize("character", ["x", "é", "€", "🦊"])
@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_limit_counts_bytes(character: str, over: int) -> None:
    text = text_of_bytes(LIMIT + over, character)
    assert len(text.encode()) == LIMIT + over
    if over > 0:
        with pytest.raises(TooLarge):
            strict_json.loads(text)
    else:
        assert len(strict_json.loads(text).encode()) == LIMIT + over - 2


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_32_levels_are_read_and_33_are_refused(opening: str, closing: str) -> None:
    assert strict_json.loads(opening * 32 + "1" + closing * 32)
    for depth in (33, 10**5):
        with pytest.raises(Invalid, match="32 levels"):
            strict_json.loads(opening * depth, max_bytes=10**6)


def test_brackets_in_texts_do_not_count() -> None:
    assert strict_json.loads('["' + "[" * 100 + r"\"[[" * 20 + '"]')


@pytest.mark.parametrize(
    "text",
    [
        *('"' + r"\"" * (LIMIT // 2 - 1), '"' + "\\" * (LIMIT - 1), '"' * LIMIT, "[" * LIMIT, '{"":' * 16_000),
        *("]" * 30_000 + "[" * 30_000, "[" + "1," * 32_000, "-" * LIMIT, "9" * LIMIT, "\\" * 20_000 + "[" * 40_000),
    ],
    ids=lambda text: text[:4],
)
def test_a_hostile_text_of_the_largest_size_is_refused_at_once(text: str) -> None:
    started = time.process_time()
    with pytest.raises(Refusal):
        strict_json.loads(text)
    # It takes a few milliseconds; what this tells from is a regular expression that goes back and forth for minutes.
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("text", "type"),
    [
        ('{"a":1,"a":1}', "duplicate_key"),
        ('{"a":1,"\\u0061":2}', "duplicate_key"),
        ('[{"b":{"a":1,"a":2}}]', "duplicate_key"),
        ("NaN", "invalid_number"),
        ("[-Infinity]", "invalid_number"),
        ("1e400", "invalid_number"),
        ("1e99", "invalid_number"),
        ("1e-19", "invalid_number"),
        ("1e12", "invalid_number"),
        ("0.0000000000000000001", "invalid_number"),
        ("1234567890.0000000001", "invalid_number"),
        ("1234567890123", "invalid_number"),
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("{} {}", "invalid_json"),
        ("[1,]", "invalid_json"),
        ("'a'", "invalid_json"),
        ("01", "invalid_json"),
        ("\ufeff{}", "invalid_json"),
        ('"\n"', "invalid_json"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_reason(text: str, type: str) -> None:
    with pytest.raises(Invalid) as refused:
        strict_json.loads(text)
    assert refused.value.type == type


def test_the_place_of_the_mistake_is_named() -> None:
    with pytest.raises(Invalid, match="line 2, column 4"):
        strict_json.loads('{\n"a"}')


@pytest.mark.parametrize(
    ("text", "type", "detail"),
    [
        (text_of_bytes(LIMIT + 1), "body_too_large", "The limit is 65536 bytes."),
        ("[" * 33, "too_deep", "The limit is 32 levels of nesting."),
        ("[" * 32 + "]" + "[" * 2, "too_deep", "The limit is 32 levels of nesting."),
        ("NaN", "invalid_number", "NaN is not a permitted number."),
        ('{"a":1,"a":1}', "duplicate_key", "An object contains the same key twice."),
    ],
    ids=["size", "depth", "depth after a closed array", "constant", "key"],
)
def test_each_refusal_says_what_is_wrong(text: str, type: str, detail: str) -> None:
    with pytest.raises(Refusal) as refused:
        strict_json.loads(text)
    assert (refused.value.type, refused.value.detail) == (type, detail)


def test_values_side_by_side_are_not_nested() -> None:
    assert len(strict_json.loads("[" + ",".join(["[]", "{}"] * 40) + "]")) == 80


def test_members_are_written_in_their_order_and_sorted_on_request() -> None:
    value = {"b": date(2026, 1, 31), "a": datetime(2026, 1, 31, tzinfo=UTC), "c": Decimal("1E+2")}
    texts = ['"b":"2026-01-31"', '"a":"2026-01-31T00:00:00.000000Z"', '"c":"100"']
    assert strict_json.dumps(value) == "{" + ",".join(texts) + "}"
    assert strict_json.dumps(value, sort_keys=True) == "{" + ",".join(sorted(texts)) + "}"


def test_another_type_is_not_written() -> None:
    with pytest.raises(TypeError, match="Cannot write a set as JSON"):
        strict_json.dumps({"a": {1}})


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.1", Decimal("0.1")), ("7", Decimal(7)), ("[true, null]", [True, None]), ('"\\ud800"', "\ud800"), ("{}", {})],
)
def test_values_are_read_exactly(text: str, value: Any) -> None:
    read = strict_json.loads(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("33.333333333333336", "33.333333333333336"),
        ("0.000000000000000001", "0.000000000000000001"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("1e-7", "0.0000001"),
        ("1.5E+3", "1500"),
        ("-2e0", "-2"),
    ],
)
def test_numbers_of_providers_are_read_exactly(text: str, number: str) -> None:
    assert strict_json.loads(text) == Decimal(number)

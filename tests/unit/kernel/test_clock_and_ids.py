"""Times and identifiers."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.kernel import clock, ids
from trimtab.kernel.errors import Invalid


@pytest.mark.parametrize(
    "text",
    ["2026-11-21T09:30:00Z", "2026-11-21t09:30:00z", "2026-11-21T10:30:00+01:00", "2026-11-21T09:30:00.000000-00:00"],
)
def test_rfc_3339_is_read_as_utc(text: str) -> None:
    read = clock.parse_time(text)
    assert read == datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    assert read.tzinfo is UTC


@given(fraction=st.text("0123456789", min_size=1, max_size=30))
def test_any_number_of_decimals_is_read_and_cut_off_after_the_microseconds(fraction: str) -> None:
    microseconds = int(fraction[:6].ljust(6, "0"))
    expected = datetime(2026, 11, 21, 9, 30, 59, microseconds, tzinfo=UTC)
    assert clock.parse_time(f"2026-11-21T09:30:59.{fraction}Z") == expected
    assert clock.parse_time(f"2026-11-21T11:30:59.{fraction}+02:00") == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026-11-21", "2026-11-21T09:30:00", "2026-11-21 09:30:00Z", "20261121T093000Z", "1795253400"),
        *("2026-11-21T09:30Z", "2026-11-21T09:30:00+0100", "2026-11-21T09:30:00.Z", "2026-W47-6T09:30:00Z"),
        *("2026-02-30T09:30:00Z", "2026-11-21T24:00:00Z", "2026-11-21T09:60:00Z", "0000-01-01T00:00:00Z"),
        *(
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-14:00",
            "\u0662\u0660\u0662\u0666-11-21T09:30:00Z",
            "2026-11-21T09:30:00Z\n",
        ),
        *("2026-11-21T09:30:00+24:00", "2026-11-21T09:30:00+05:99", "2026-11-21T09:30:00+99:00"),
    ],
)
def test_what_is_not_a_time_of_rfc_3339_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        clock.parse_time(text)
    assert refused.value.type == "invalid_time"


instants = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001 - Hypothesis asks for naive bounds
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(instants, instants, st.integers(-14, 14))
def test_written_times_are_read_again_and_sort_as_the_instants_do(one: datetime, other: datetime, hours: int) -> None:
    local = one.astimezone(timezone(timedelta(hours=hours)))
    assert clock.parse_time(clock.format_time(local)) == one
    assert (clock.format_time(one) < clock.format_time(other)) == (one < other)


def test_milliseconds_of_aws_are_instants() -> None:
    assert clock.from_epoch_milliseconds(1795253400123) == datetime(2026, 11, 21, 9, 30, 0, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "asset", "identifier"),
    [
        ("stocks", True, True),
        ("VWCE.DE", True, True),
        ("a" * 32, True, True),
        ("a" * 33, False, True),
        ("a" * 128, False, True),
        ("a" * 129, False, False),
        ("Ada+1@example.com", False, True),
        ("9j/4AAQSkZJRg==", False, True),
        ("-_~", False, True),
        ("auth0|user:1@x", False, True),
        ("-a", False, True),
        ("", False, False),
        ("a#b", False, False),
        ("\u0430", False, False),
        ("a b", False, False),
        ("a\n", False, False),
        ("a/b", True, True),
        ("BTC/USD", True, True),
        ("BRK.B", True, True),
        ("^GSPC", True, False),
        ("EURUSD=X", True, True),
        ("GC=F", True, True),
        ("a/b/c", False, True),
        ("a/../b", False, True),
        ("a/.", False, True),
        ("/a", False, True),
        ("a/", False, True),
        ("a//b", False, True),
        ("^", False, False),
        ("a^b", False, False),
        ("=a", False, True),
        ("a%2Fb", False, False),
        ("a\x7fb", False, False),
        ("a" * 16 + "/" + "b" * 16, False, True),
        ("a,b", False, False),
        ("\u0661", False, False),
    ],
)
def test_names_are_ascii_and_cannot_forge_a_key(text: str, asset: bool, identifier: bool) -> None:
    assert ids.is_asset(text) is asset
    assert ids.is_identifier(text) is identifier


@pytest.mark.parametrize("name", ["Test Portfolio", "José", "José\u2019s 401(k) 70/30", "年金", "x" * 100, "x", "#1"])
def test_a_name_has_characters_of_any_script_and_one_form(name: str) -> None:
    assert ids.to_name(name) == ids.to_name(unicodedata.normalize("NFD", name)) == name


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "\u3000", "x" * 101, "a\tb", "a\x7f", "a\u2028b", "\ud800", "\ue000", "\uffff"]
)
def test_other_texts_are_no_names(name: str) -> None:
    with pytest.raises(ValueError, match=r"^Use (1 to 100 characters, without b|no control characters, line b)"):
        ids.to_name(name)


@pytest.mark.parametrize(
    ("header", "same"),
    [("k", '"k"'), (" k ", "k"), ('a"b', '"a\\"b"'), ("a\\b", '"a\\\\b"'), ("a b", '"a b"'), ("x" * 255, "x" * 255)],
)
def test_a_quoted_idempotency_key_is_the_same_key(header: str, same: str) -> None:
    key = ids.read_idempotency_key(header)
    assert key == ids.read_idempotency_key(same)
    assert ids.is_identifier(key)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255), st.text("ab", min_size=1))
def test_every_printable_key_stands_for_itself_alone(key: str, other: str) -> None:
    read = [ids.read_idempotency_key(f"k{each}k") for each in (key, other) if len(each) < 254]
    assert all(map(ids.is_identifier, read))
    assert len(set(read)) == len({each for each in (key, other) if len(each) < 254})


def test_a_key_that_is_no_identifier_has_a_derived_id_and_others_stay() -> None:
    assert ids.read_idempotency_key('"order-1"') == "order-1"
    assert ids.read_idempotency_key("order #1") == ids.derive_id("idempotency-key", "order #1")


@pytest.mark.parametrize("header", ["", '""', "x" * 256, "é", "a\tb"])
def test_other_headers_are_no_keys(header: str) -> None:
    with pytest.raises(ValueError, match=r"^Use 1 to 255 printable ASCII characters, quoted or not\.$"):
        ids.read_idempotency_key(header)


texts = st.lists(st.text(max_size=5), max_size=3)


@given(texts, texts)
def test_an_id_stands_for_its_parts_and_no_others(some: list[str], others: list[str]) -> None:
    assert (ids.derive_id(*some) == ids.derive_id(*others)) == (some == others)
    assert (ids.fingerprint(*some) == ids.fingerprint(*others)) == (some == others)


def test_a_fingerprint_does_not_depend_on_the_order_of_members() -> None:
    assert ids.fingerprint({"a": 1, "b": 2}) == ids.fingerprint({"b": 2, "a": 1})
    assert len(ids.fingerprint()) == 32
    # Ids of imports and of their rows hold fingerprints.
    assert ids.fingerprint("demo", {"b": [1, 2], "a": None}) == "e3b130595bf7e5257468014012a33141"


def test_ids_of_stored_items_never_change() -> None:
    # Items under these ids exist: another derivation would orphan every one of them.
    assert ids.derive_id("demo", "1", "default") == "265076e4-f1a0-5d1f-99a9-59a8b0e03f01"

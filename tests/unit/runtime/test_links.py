"""Signed links: what was signed is read again until its time is over, and nothing else ever is."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import NOW
from trimtab.kernel.errors import Forbidden, Refusal
from trimtab.runtime.links import MAX_TOKEN_LENGTH, sign, verify

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
LATER = NOW + timedelta(days=7)
PAYLOAD = {"tenant": "demo", "portfolio": "265076e4", "picture": "sectors"}
TOKEN = sign(PAYLOAD, LATER, KEY)


def refusal(token: str, now: datetime = NOW, key: bytes = KEY) -> Refusal:
    """Return the type of the refusal of a token."""
    with pytest.raises(Forbidden) as refused:
        verify(token, now, key)
    return refused.value


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=20), max_size=5))
def test_what_was_signed_is_what_is_read(payload: dict[str, str]) -> None:
    assert verify(sign(payload, LATER, KEY), NOW, KEY) == payload


def test_a_token_goes_into_a_url_as_it_is_and_is_the_same_each_time() -> None:
    assert sign(dict(reversed(PAYLOAD.items())), LATER, KEY) == TOKEN
    assert set(TOKEN) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_any_flipped_bit_is_refused_as_one_and_the_same_forgery() -> None:
    content = urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))
    for bit in range(len(content) * 8):
        forged = bytearray(content)
        forged[bit // 8] ^= 1 << bit % 8
        refused = refusal(urlsafe_b64encode(forged).rstrip(b"=").decode())
        assert (refused.type, refused.detail) == (refusal("").type, refusal("").detail)


def test_any_other_character_at_any_place_is_refused_even_where_it_would_decode_to_the_same() -> None:
    for place in range(len(TOKEN)):
        for character in "Aa0-_=+/ \n\u0100":
            forged = TOKEN[:place] + character + TOKEN[place + 1 :]
            if forged != TOKEN:
                assert refusal(forged).type == "invalid_link"
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        if last != TOKEN[-1]:
            assert refusal(TOKEN[:-1] + last).type == "invalid_link"


@pytest.mark.parametrize(
    "token",
    [
        *("", "A", "====", TOKEN[:-1], TOKEN + "A", TOKEN + "=", " " + TOKEN, TOKEN + "\n", TOKEN[:40], "\ud800"),
        *("A" * 43, "A" * MAX_TOKEN_LENGTH, "A" * 1_000_000),
    ],
    ids=lambda token: repr(token[:10]),
)
def test_what_is_no_token_is_refused_like_a_forged_one(token: str) -> None:
    assert refusal(token).type == "invalid_link"


def test_a_token_is_valid_before_its_expiry_and_expired_from_then_on() -> None:
    assert verify(TOKEN, LATER - timedelta(microseconds=1), KEY) == PAYLOAD
    assert refusal(TOKEN, LATER).type == "expired_link"
    assert refusal(TOKEN, LATER + timedelta(days=9999)).type == "expired_link"


def test_a_forged_token_never_hears_that_it_has_expired() -> None:
    assert refusal(TOKEN[:-2] + "AA", LATER).type == "invalid_link"
    assert refusal(TOKEN, LATER, OTHER_KEY).type == "invalid_link"


def test_another_key_reads_nothing() -> None:
    assert refusal(TOKEN, key=OTHER_KEY).type == "invalid_link"
    assert refusal(sign(PAYLOAD, LATER, OTHER_KEY)).type == "invalid_link"


def test_an_expiry_in_another_offset_is_the_same_instant() -> None:
    assert sign(PAYLOAD, LATER.astimezone(UTC), KEY) == TOKEN


def test_a_weak_key_a_local_time_and_an_endless_payload_are_mistakes_of_the_caller() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        sign(PAYLOAD, LATER, b"short")
    with pytest.raises(ValueError, match="offset"):
        sign(PAYLOAD, LATER.replace(tzinfo=None), KEY)
    with pytest.raises(ValueError, match="2048"):
        sign({"a": "x" * MAX_TOKEN_LENGTH}, LATER, KEY)

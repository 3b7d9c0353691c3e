"""Hashes of requests tell a repeat from another request, also after a field was added."""

from datetime import UTC, datetime
from decimal import Decimal

from trimtab.kernel.ids import is_same_request, request_hash

FIELDS = {"symbol": "A", "quantity": Decimal("1E+1"), "at": datetime(2026, 1, 31, tzinfo=UTC)}
PINNED = "1:7c821deeb06851114b641a52aa4b5ec0"


def test_a_stored_hash_never_changes() -> None:
    assert request_hash(1, FIELDS) == PINNED


def test_the_order_of_fields_and_the_form_of_numbers_do_not_matter() -> None:
    assert request_hash(1, {**dict(reversed(FIELDS.items())), "quantity": Decimal("10.0")}) == PINNED


def test_one_more_field_keeps_the_hash_unless_the_field_is_given() -> None:
    assert request_hash(1, {**FIELDS, "note": None}) == PINNED
    assert request_hash(1, {**FIELDS, "side": "BUY"}, {"side": "BUY"}) == PINNED
    assert request_hash(1, {**FIELDS, "side": "SELL"}, {"side": "BUY"}) != PINNED


def test_a_request_is_compared_in_the_version_of_the_stored_hash() -> None:
    def hash_of(version: int) -> str:
        return request_hash(version, FIELDS if version == 1 else {**FIELDS, "changed": "yes"})

    assert is_same_request(PINNED, hash_of)
    assert is_same_request(hash_of(2), hash_of)
    assert not is_same_request(request_hash(1, {}), hash_of)

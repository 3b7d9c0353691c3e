"""Cheap transactions for all tests of the ledger: their tables have hundreds of items."""

from collections.abc import Iterator

import pytest

from tests.support.moto_state import fast_transactions


@pytest.fixture(autouse=True)
def cheap_transactions() -> Iterator[None]:
    """Let moto copy maps and not items before each transaction."""
    with fast_transactions():
        yield

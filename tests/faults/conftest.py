"""What the fault tests share."""

from collections.abc import Iterator

import pytest

from tests.faults.harness import Laboratory, laboratory


@pytest.fixture
def lab() -> Iterator[Laboratory]:
    """A laboratory of its own."""
    with laboratory() as fresh:
        yield fresh

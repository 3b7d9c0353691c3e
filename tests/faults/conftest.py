"""Fixtures of the fault tests."""

from collections.abc import Iterator

import pytest

from tests.faults.harness import FaultTestBench, fault_test_bench


@pytest.fixture
def bench() -> Iterator[FaultTestBench]:
    """Provide a test bench with its own system."""
    with fault_test_bench() as fresh:
        yield fresh

"""Fixtures and Hypothesis profiles shared by all tests."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.support import assurance
from tests.support.call_recorder import CallRecorder
from tests.support.fast_moto import fast_items
from tests.support.system import System, in_process_system

# `make test` tries the same examples each time, so that what it finds is what a change did; `make proof` tries others.
ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("default", ANY_SPEED, max_examples=50, derandomize=True)
settings.register_profile("explore", ANY_SPEED, max_examples=300)
# `make mutation` asks whether a test fails, so examples are not made smaller.
settings.register_profile(
    "mutation", ANY_SPEED, max_examples=50, derandomize=True, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("default")


def pytest_configure(config: pytest.Config) -> None:
    """Validate and record the AWS calls of all functions, count the cases of proofs, and write their results.

    The results are written in the process that has the reports of all workers.
    """
    os.environ["VALIDATE_SDK_CALLS"] = "1"
    config.pluginmanager.register(CallRecorder())
    config.pluginmanager.register(assurance)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(assurance.ResultsWriter())


@pytest.fixture
def fast_moto() -> Iterator[None]:
    """Use the fast path to moto. Request it before `system`, whose lock serialises concurrent calls on top of it."""
    with fast_items():
        yield


@pytest.fixture
def system() -> Iterator[System]:
    """Provide a new in-process system over moto."""
    with in_process_system() as fresh:
        yield fresh

"""Fixtures and Hypothesis profiles shared by all tests."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from xdist.scheduler import LoadGroupScheduling

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
SHARED_SYSTEMS = ("tests/e2e/", "tests/infra/")
"""Tests that share the deployed system, and tests that share the synthesised templates."""


def pytest_configure(config: pytest.Config) -> None:
    """Validate and record the AWS calls of all functions, count the cases of proofs, and write their results.

    The results are written in the process that has the reports of all workers.
    """
    os.environ["VALIDATE_SDK_CALLS"] = "1"
    config.pluginmanager.register(CallRecorder())
    config.pluginmanager.register(assurance)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(assurance.ResultsWriter())


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return the scheduler of `--dist loadgroup`, None for other runs.

    The tests of each shared system stay on one worker. Marks of xdist 3.8 would say so, but pytest 9.2 ignores them.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    scheduler = LoadGroupScheduling(config, log)
    scheduler._split_scope = lambda test: next((each for each in SHARED_SYSTEMS if test.startswith(each)), test)
    return scheduler


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

"""Every example of the guide for clients of earlier systems, sent as documented and answered as documented."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from unittest import mock

import pytest

from functions.compat_rebalancer_api import handler as rebalancer_function
from functions.rebalancing_on_rebalance_requested import handler as worker_function
from tests.support.compat import exact_answer, examples, request_ids
from tests.support.system import System

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


def _nothing(system: System) -> None:
    """Start with an empty system."""


SECTIONS: dict[str, Callable[[System], None]] = {"Rebalancer": _nothing}
"""The sections with examples, and what is stored before their first example."""


@contextmanager
def _at_the_documented_time() -> Iterator[None]:
    with (
        mock.patch.multiple(rebalancer_function, utc_now=lambda: NOW),
        mock.patch.multiple(worker_function, utc_now=lambda: NOW),
    ):
        yield


@pytest.mark.parametrize("section", SECTIONS)
def test_the_examples_of_the_guide_are_answered_as_documented(system: System, section: str) -> None:
    with _at_the_documented_time():
        SECTIONS[section](system)
        for request_id, example in zip(request_ids(), examples(section), strict=False):
            answer = system.http(example.method, example.path, example.body, query=example.query, request_id=request_id)
            assert exact_answer(answer) == (example.status, example.answer), example.name
            system.drain_queue()

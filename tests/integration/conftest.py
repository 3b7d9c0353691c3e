"""Fixtures shared by the integration tests."""

import io

import pytest

from trimtab.runtime.observability import logger


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The log of all functions."""
    written = io.StringIO()
    (handler,) = logger.handlers
    monkeypatch.setattr(handler, "stream", written)
    return written

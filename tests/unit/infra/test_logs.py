"""The order of the lines in the output of `make logs`."""

from typing import Any

import pytest

from infra.local import logs

TRACEBACK = ["START", "Traceback (most recent call last):", '  File "a.py"', '  File "a.py"', "ValueError: x", "END"]


class StoredLogs:
    """A logs client with the given events of a single group."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.events = events

    def get_paginator(self, operation: str) -> "Pages":
        """Return the only page of an operation."""
        pages = {
            "describe_log_groups": {"logGroups": [{"logGroupName": "/aws/lambda/trimtab-local-worker"}]},
            "filter_log_events": {"events": self.events},
        }
        return Pages(pages[operation])


class Pages:
    """A paginator with a single page."""

    def __init__(self, page: dict[str, Any]) -> None:
        self.page = page

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        """Return the page."""
        return [self.page]


def events(stream: str, when: int, *messages: str) -> list[dict[str, Any]]:
    """Return the events of an invocation, all with the same timestamp."""
    return [{"timestamp": when, "logStreamName": stream, "message": message} for message in messages]


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the printed lines without the name of the function."""
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("local-worker  ") for line in lines)
    return [line.removeprefix("local-worker  ") for line in lines]


def test_lines_of_one_millisecond_keep_their_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = StoredLogs([*events("b", 2, *TRACEBACK), *events("a", 2, *TRACEBACK), *events("c", 1, "first")])
    monkeypatch.setattr(logs, "client", lambda *_: stored)

    logs.follow("http://unused", forever=False)

    assert printed(capsys) == ["first", *TRACEBACK, *TRACEBACK]


def test_each_line_is_printed_once_and_later_lines_follow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = StoredLogs(events("a", 1, "same", "same"))
    monkeypatch.setattr(logs, "client", lambda *_: stored)

    def pause(_: float) -> None:
        if len(stored.events) > 2:
            raise KeyboardInterrupt
        stored.events = [*stored.events, *events("a", 2, "same")]

    monkeypatch.setattr("time.sleep", pause)
    with pytest.raises(KeyboardInterrupt):
        logs.follow("http://unused")

    assert printed(capsys) == ["same"] * 3

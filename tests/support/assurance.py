"""Results of the proofs for `docs/reference/assurance.md`: the fault, the cases, and the violations.

A proof has the mark `assurance` with the fault as its text, and with the variable of its command, if any:
`environment="NAME=value"`. Code that tries many cases in one test calls `tried()` for each case; a test without calls
is one case. Each result is a line in a file below `.local`, whichever process ran the proof.
"""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

RESULTS = Path(__file__).parents[2] / ".local" / "assurance.jsonl"
_PROPERTY = "assurance"
_cases = 0


def tried(cases: int = 1) -> None:
    """Count cases of the running test."""
    global _cases  # noqa: PLW0603 - pytest runs one test at a time in a process
    _cases += cases


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Add fault and cases to the report of a marked test; reports reach the process that writes."""
    global _cases  # noqa: PLW0603
    report = yield
    if call.when == "setup":
        _cases = 0
    mark = item.get_closest_marker("assurance")
    if mark and call.when == "call":
        result = {"fault": mark.args[0], "cases": max(_cases, 1), "violations": int(report.failed), **mark.kwargs}
        report.user_properties.append((_PROPERTY, result))
    return report


class ResultsWriter:
    """Appends the results of marked tests to a file; the last result of a test counts."""

    def __init__(self, path: Path = RESULTS) -> None:
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Append the result of a test that has one."""
        found: list[Any] = [value for name, value in report.user_properties if name == _PROPERTY]
        if report.when != "call" or not found:
            return
        self._path.parent.mkdir(exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"test": report.nodeid, **found[0]}) + "\n")

"""The page of assurance: it lists what the marked proofs have tried, and nothing else."""

import ast
from pathlib import Path

import pytest

from infra.tools.assurance import PAGE, assurance, read_results
from tests.support import assurance as plugin

ROOT = Path(__file__).parents[3]

pytest_plugins = ["pytester"]


def faults_of_proofs() -> dict[str, set[str]]:
    """Return the text of each mark `assurance`, with the files of its proofs."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.assurance":
                        found.setdefault(ast.literal_eval(mark.args[0]), set()).add(str(path.relative_to(ROOT)))
    return found


def test_each_row_of_the_page_is_a_proof_that_found_no_violation() -> None:
    proofs = faults_of_proofs()
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if " | `python " in line]
    assert rows
    for fault, cases, violations, command in rows:
        assert {word for word in command.strip("`").split() if word.startswith("tests/")} == proofs[fault]
        assert int(cases.replace(",", "")) > 0
        assert violations == "0", fault


def test_cases_are_summed_and_the_last_result_of_a_test_counts() -> None:
    def result(test: str, fault: str, cases: int, violations: int = 0) -> dict[str, object]:
        return {"test": test, "fault": fault, "cases": cases, "violations": violations}

    text = assurance(
        [
            result("tests/a.py::test_x[1]", "A crash", 600, 1),
            result("tests/a.py::test_x[1]", "A crash", 700),
            result("tests/b.py::test_y", "A crash", 800),
            result("tests/b.py::test_z", "A race", 1, 1),
        ]
    )
    assert "| A crash | 1,500 | 0 | `python -m pytest -m proof tests/a.py tests/b.py` |" in text
    assert "| A race | 1 | 1 | `python -m pytest -m proof tests/b.py` |" in text


def test_marked_tests_write_their_cases_and_violations(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from tests.support.assurance import tried

        @pytest.mark.assurance("A fault")
        def test_that_tries_three_cases():
            tried(2)
            tried()

        @pytest.mark.assurance("A fault")
        def test_that_fails():
            assert False

        def test_without_the_mark():
            tried()
        """
    )
    path = pytester.path / "results" / "found.jsonl"
    pytester.inline_run("-p", "no:cacheprovider", "-W", "ignore", plugins=[plugin.ResultsWriter(path), plugin])
    found = [(each["fault"], each["cases"], each["violations"]) for each in read_results(path)]
    assert found == [("A fault", 3, 0), ("A fault", 1, 1)]

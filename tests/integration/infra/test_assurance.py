"""The page of assurance: it lists what the marked proofs have tried, and nothing else."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from infra.tools.assurance import PAGE, assurance, read_results
from tests.support import assurance as plugin

ROOT = Path(__file__).parents[3]

pytest_plugins = ["pytester"]


MARK, PROOF = "pytest.mark.assurance", "pytest.mark.proof"


def modules_of_tests() -> Iterator[tuple[str, ast.Module]]:
    """Yield the path and the code of each module of tests."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def faults_of_proofs() -> dict[str, set[str]]:
    """Return the text of each mark `assurance`, with the files of its proofs."""
    found: dict[str, set[str]] = {}
    for path, module in modules_of_tests():
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == MARK:
                found.setdefault(ast.literal_eval(node.args[0]), set()).add(path)
    return found


def marks_in(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names of the marks below the nodes."""
    found = (each for node in nodes for each in ast.walk(node) if isinstance(each, ast.Attribute))
    return {ast.unparse(each) for each in found} & {MARK, PROOF}


def test_each_proof_names_its_fault() -> None:
    nameless = []
    for path, module in modules_of_tests():
        assigned = [node for node in module.body if isinstance(node, ast.Assign)]
        every = marks_in(node for node in assigned if ast.unparse(node.targets[0]) == "pytestmark")
        lists = {ast.unparse(node.targets[0]): marks_in([node]) for node in assigned}
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marks = every | marks_in(node.decorator_list)
                used = {
                    each.id for mark in node.decorator_list for each in ast.walk(mark) if isinstance(each, ast.Name)
                }
                marks |= {mark for name in used for mark in lists.get(name, set())}
                nameless += [f"{path}::{node.name}"] if PROOF in marks and MARK not in marks else []
    assert nameless == []


def test_each_row_of_the_page_is_a_proof_that_found_no_violation() -> None:
    proofs = faults_of_proofs()
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if " | `python " in line]
    assert rows
    for fault, cases, violations, command in rows:
        assert {word for word in command.strip("`").split() if word.startswith("tests/")} == proofs[fault]
        assert int(cases.replace(",", "")) > 0
        assert violations == "0", fault


def test_cases_are_summed_and_the_last_result_of_a_test_counts() -> None:
    def result(test: str, fault: str, cases: int, violations: int = 0, **more: str) -> dict[str, object]:
        return {"test": test, "fault": fault, "cases": cases, "violations": violations, **more}

    text = assurance(
        [
            result("tests/a.py::test_x[1]", "A crash", 600, 1),
            result("tests/a.py::test_x[1]", "A crash", 700),
            result("tests/b.py::test_y", "A crash", 800),
            result("tests/b.py::test_z", "A race", 1, 1, environment="ROLES=1"),
        ]
    )
    assert "| A crash | 1,500 | 0 | `python -m pytest -m proof tests/a.py tests/b.py` |" in text
    assert "| A race | 1 | 1 | `ROLES=1 python -m pytest -m proof tests/b.py` |" in text


def test_marked_tests_write_their_cases_and_violations(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from tests.support.assurance import tried

        @pytest.mark.assurance("A fault")
        def test_that_tries_three_cases():
            tried(2)
            tried()

        @pytest.mark.assurance("A fault", environment="NAME=1")
        def test_that_fails():
            assert False

        def test_without_the_mark():
            tried()
        """
    )
    path = pytester.path / "results" / "found.jsonl"
    pytester.inline_run("-p", "no:cacheprovider", "-W", "ignore", plugins=[plugin.ResultsWriter(path), plugin])
    names = ("fault", "cases", "violations", "environment")
    found = [tuple(each.get(name) for name in names) for each in read_results(path)]
    assert found == [("A fault", 3, 0, None), ("A fault", 1, 1, "NAME=1")]

"""Problem types of the API: found in the source code, and explained by `problem_texts`."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from infra.config import ROOT
from infra.tools.problem_texts import COMPUTED, NOT_ANSWERED, TEXTS
from trimtab.runtime.http.problems import STATUS

SOURCES = ("layers/core/python/trimtab", "functions")
GATEWAY = "infra/constructs/gateway_responses.py"


class ProblemType(NamedTuple):
    """A problem type: its statuses, meaning, what to do, and the details that responses have; `…` is a value."""

    name: str
    statuses: tuple[int, ...]
    meaning: str
    remedy: str
    details: tuple[str, ...]

    @property
    def status_text(self) -> str:
        """The statuses, such as `404, 409`."""
        return ", ".join(map(str, self.statuses))


def problem_pages() -> dict[str, dict[str, str]]:
    """Return the texts of the page of every problem type by its name."""
    return {
        each.name: {"statuses": each.status_text, "meaning": each.meaning, "remedy": each.remedy}
        for each in problem_types()
    }


@lru_cache(maxsize=1)
def problem_types() -> tuple[ProblemType, ...]:
    """Return every problem type that a response can have, sorted by name; a test asks for a text of each."""
    found = set(_found())
    names = sorted({name for name, _, _ in found})
    return tuple(
        ProblemType(
            name,
            tuple(sorted({status for each, status, _ in found if each == name})),
            *TEXTS.get(name, ("", "")),
            tuple(sorted({detail for each, _, detail in found if each == name and detail})),
        )
        for name in names
    )


def _found() -> Iterator[tuple[str, int, str]]:
    """Yield name, status and detail of every problem in the source code."""
    statuses = {kind.__name__: int(code) for kind, code in STATUS.items()}
    for tree in trees():
        yield from (row for row in _refusals(tree, statuses) if row[0] not in NOT_ANSWERED)
    yield from _gateway_problems(ast.parse((ROOT / GATEWAY).read_text()))
    for name, (status, detail) in COMPUTED.items():
        yield name, status, detail


def _refusals(tree: ast.Module, statuses: Mapping[str, int]) -> Iterator[tuple[str, int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in statuses:
            texts = [_text(argument) for argument in node.args[:2]]
            if len(texts) == 2 and texts[0] and texts[1]:
                yield texts[0], statuses[node.func.id], texts[1]


def _gateway_problems(tree: ast.Module) -> Iterator[tuple[str, int, str]]:
    """Yield the problems that API Gateway answers before a function is invoked."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "GatewayProblem":
            status, name, _, *rest = node.args
            yield _text(name), int(ast.literal_eval(status)), _text(rest[0]) if rest else ""


def _text(node: ast.expr) -> str:
    """Return a string literal; in an f-string each expression is shown as `…`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def trees(sources: Iterable[str] = SOURCES) -> Iterator[ast.Module]:
    """Yield the syntax tree of every module below the sources; generated modules are left out."""
    for source in sources:
        for path in sorted((ROOT / source).rglob("*.py")):
            if "generated" not in path.parts:
                yield ast.parse(path.read_text())

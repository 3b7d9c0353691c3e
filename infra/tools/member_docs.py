"""Descriptions of the members of schemas: the docstrings below the members of models, read from the source code.

A docstring below a member costs nothing at runtime. `Example:` with a literal at its end becomes an example of the
schema. A member without a docstring is described by its base class, by the class that `SAME_MEMBERS` names, or by
`common_members`, in this order.
"""

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from infra.config import ROOT
from infra.tools.common_members import MEMBERS, SAME_MEMBERS

SOURCES = ("layers/core/python/trimtab", "functions", "infra/tools")
_EXAMPLE = re.compile(r"\s*Example: `(.+)`\.?\Z", re.DOTALL)
_ALIAS = re.compile(r"\balias='(\w+)'")


class ClassDocs:
    """The bases and the member docstrings of one class."""

    def __init__(self, node: ast.ClassDef) -> None:
        self.bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
        self.members = dict(_members(node.body))


def _members(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, following in pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
            text = following.value.value if isinstance(following.value, ast.Constant) else None
            if isinstance(text, str):
                alias = _ALIAS.search(ast.unparse(statement.annotation))
                yield alias[1] if alias else ast.unparse(statement.target), " ".join(text.split())


@lru_cache(maxsize=1)
def all_classes() -> Mapping[str, ClassDocs]:
    """Return the docs of every class of the sources by name; generated modules are left out."""
    return {
        node.name: ClassDocs(node)
        for path in _modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }


def _modules() -> Iterable[Path]:
    for source in SOURCES:
        yield from (path for path in (ROOT / source).rglob("*.py") if "generated" not in path.parts)


def text_of(class_name: str, member: str) -> str | None:
    """Return the text that describes a member of a class, None where there is none."""
    pending = [class_name]
    while pending:
        name = pending.pop(0)
        found = all_classes().get(name)
        if found is not None and member in found.members:
            return found.members[member]
        pending += [*(found.bases if found else ()), *SAME_MEMBERS.get(name, ())]
    return MEMBERS.get(member)


def describe(node: Any, title: str | None = None) -> None:
    """Add description and example to the members of every class in a document; `title` names the class of the root."""
    if isinstance(node, list):
        for each in node:
            describe(each)
    if not isinstance(node, dict):
        return
    class_name = title or node.get("title")
    if isinstance(class_name, str) and class_name in all_classes():
        for member, schema in node.get("properties", {}).items():
            _describe_member(schema, text_of(class_name, member))
    for each in node.values():
        describe(each)


def _describe_member(schema: dict[str, Any], text: str | None) -> None:
    if text is None or "description" in schema:
        return
    example = _EXAMPLE.search(text)
    schema["description"] = text[: example.start()] if example else text
    if example and not {"examples", "const"} & schema.keys():
        schema["examples"] = [_value(schema, example[1])]


def _value(schema: Mapping[str, Any], text: str) -> Any:
    """Return an example as a value of the member's type: a text for texts and for values of an enum, else JSON."""
    types = {each.get("type", "string") for each in schema.get("anyOf", [schema])}
    return text if "string" in types else json.loads(text)


def undescribed(node: Any) -> Iterator[str]:
    """Yield the members of a document that have neither a description nor a reference, with their class."""
    if isinstance(node, list):
        for each in node:
            yield from undescribed(each)
    if isinstance(node, dict):
        for member, schema in node.get("properties", {}).items():
            if isinstance(schema, dict) and not {"description", "$ref"} & schema.keys():
                yield f"{node.get('title')}.{member}"
        for each in node.values():
            yield from undescribed(each)

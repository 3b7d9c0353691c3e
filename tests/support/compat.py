"""The documented examples of the routes for clients of earlier systems."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from tests.docs.pages import ROOT, blocks
from tests.support.system import Answer

GUIDE = ROOT / "docs" / "guides" / "compat.md"
_SECTION = re.compile(r"^## (.+)$", re.M)


@dataclass(frozen=True)
class Example:
    """A documented request and its documented response."""

    method: str
    path: str
    query: dict[str, str]
    body: str | None
    status: int
    answer: Any

    @property
    def name(self) -> str:
        """The request line, for test ids."""
        return f"{self.method} {self.path}"


def examples(section: str) -> list[Example]:
    """Return the examples of a section of the guide, in order."""
    text = GUIDE.read_text()
    start = text.index(f"## {section}\n")
    following = _SECTION.search(text, start + 3)
    first, last = text.count("\n", 0, start), text.count("\n", 0, following.start() if following else len(text))
    found = [block.text for block in blocks(GUIDE) if block.language == "http" and first < block.line <= last]
    return [_example(request, response) for request, response in zip(found[::2], found[1::2], strict=True)]


def _example(request: str, response: str) -> Example:
    (line, body), (status_line, answer) = map(_head_and_body, (request, response))
    method, target = line.split(" ")
    path, _, query = target.partition("?")
    _, code, phrase = status_line.split(" ", 2)
    assert HTTPStatus(int(code)).phrase == phrase
    return Example(method, path, dict(parse_qsl(query)), body or None, int(code), exact_json(answer))


def _head_and_body(text: str) -> tuple[str, str]:
    head, _, body = text.partition("\n\n")
    return head.strip(), body.strip()


def exact_json(text: str) -> Any:
    """Return a JSON text with its numbers as decimals."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def exact_answer(answer: Answer) -> tuple[int, Any]:
    """Return the status and the body of an answer, with its numbers as decimals."""
    return answer.status, exact_json(answer.text)


def request_ids() -> Iterator[str]:
    """Yield the request ids of the gateway for the documented examples."""
    return (f"request-{number}" for number in range(1, 100))

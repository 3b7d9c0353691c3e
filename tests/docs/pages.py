"""The documentation as tests read it: pages, links, headings and code blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOP_LEVEL = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
NOT_RUN = re.compile(r"<!-- docs-check: not run, (.+) -->")
REASONS = {"needs an AWS account", "needs Docker"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A fenced code block; `reason` says why its commands are not run, None if they are."""

    page: Path
    line: int
    language: str
    text: str
    reason: str | None


def all_pages() -> list[Path]:
    """Return every Markdown page of the repository that people read."""
    return [*(ROOT / name for name in TOP_LEVEL), *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    """Return the page's path below the root, for test ids."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced code blocks of a page in order."""
    text = page.read_text()
    for match in FENCE.finditer(text):
        before = text[: match.start()].rstrip().rpartition("\n")[2]
        marked = NOT_RUN.fullmatch(before)
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page, line, match[1], match[2], marked[1] if marked else None)


def prose(page: Path) -> str:
    """Return the page without code blocks and tables."""
    return re.sub(r"^\|.*$", "", FENCE.sub("", page.read_text()), flags=re.M)


def links(page: Path) -> Iterator[str]:
    """Yield the targets of all links and pictures outside of code."""
    text = re.sub(r"`[^`]*`", "", FENCE.sub("", page.read_text()))
    yield from re.findall(r"\]\(([^)\s]+)\)", text)


def anchors(page: Path) -> set[str]:
    """Return the anchors of the page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

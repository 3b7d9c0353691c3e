"""The documentation is complete and agrees with the code; its commands are run by `test_commands.py`."""

import ast
import importlib
import json
import re
import subprocess
from pathlib import Path

import pytest

from infra.tools import problem_types, reference
from tests.docs.pages import REASONS, ROOT, all_pages, anchors, blocks, links, name_of, prose
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.portfolio.policy_views import PolicyBody

PAGES = all_pages()
REFERENCE = ROOT / "docs" / "reference"
MAX_WORDS = 30


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_pages_and_headings_that_exist(page: Path) -> None:
    for link in links(page):
        if link.startswith(("http:", "https:", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_shell_blocks_are_valid_and_those_not_run_say_why(page: Path) -> None:
    for block in blocks(page):
        assert block.reason is None or block.reason in REASONS, f"line {block.line}: {block.reason}"
        if block.language == "sh":
            checked = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False)
            assert checked.returncode == 0, f"line {block.line}: {checked.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_and_repository_files_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M))
    text = page.read_text()
    named = set(re.findall(r"`make(?: -s)? ([a-z0-9-]+)", text))
    named |= {name for block in blocks(page) for name in re.findall(r"^make(?: -s)? ([a-z0-9-]+)", block.text, re.M)}
    assert named <= targets
    files = re.findall(r"`((?:functions|infra|layers|tests|events|docs)/[\w./-]+\.\w+)`", text)
    missing = [name for name in files if not (ROOT / name).exists()]
    assert page.name == "CHANGELOG.md" or not missing, missing


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_sentences_are_short(page: Path) -> None:
    sentences = re.split(r"(?<=[.!?:;])\s+|\n\n|\n\s*[*-] |\n\s*\d+\. ", prose(page))
    long = [" ".join(sentence.split()) for sentence in sentences if len(sentence.split()) > MAX_WORDS]
    assert not long


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_every_page_of_the_docs_is_linked_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    decisions = (ROOT / "docs" / "decisions").resolve()
    missing = [
        name_of(page)
        for page in (ROOT / "docs").rglob("*.md")
        if page not in linked and page != index and decisions not in page.parents
    ]
    assert not missing


@pytest.mark.parametrize("path", reference.pages(), ids=name_of)
def test_generated_reference_pages_are_current(path: Path) -> None:
    assert path.read_text() == reference.pages()[path], "run `make describe`"


def test_the_policy_page_lists_every_member_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`|none) \|", (REFERENCE / "policy.md").read_text(), re.M)
    documented = {name: default or None for name, default in rows if name in PolicyBody.model_fields}
    default = Policy()
    assert set(documented) == set(PolicyBody.model_fields)
    for name, text in documented.items():
        value = getattr(default, name)
        assert text == (None if value is None else str(value).lower()), name


def test_the_metrics_page_lists_every_metric() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", (REFERENCE / "metrics.md").read_text(), re.M))
    counted = {
        node.args[0].value
        for tree in problem_types.trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in {"count", "on_event", "add_metric", "count_event"}
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and re.fullmatch(r"[A-Z]\w+", str(node.args[0].value))
    }
    assert counted <= documented


def test_the_limits_page_agrees_with_the_constants() -> None:
    rows = re.findall(r"\| (\d+) \| `([\w.]+):(\w+)` \|", (REFERENCE / "limits.md").read_text())
    assert len(rows) >= 10
    for number, module, constant in rows:
        assert int(number) == getattr(importlib.import_module(module), constant), constant


def test_every_route_that_a_page_names_exists() -> None:
    document = json.loads(reference.OPENAPI.read_text())
    existing = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path))
        for path, methods in document["paths"].items()
        for method in methods
    }
    for page in PAGES:
        named = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`\s?]*)", page.read_text())
        wrong = [(method, path) for method, path in named if (method, re.sub(r"\{\w+\}", "{}", path)) not in existing]
        assert not wrong, f"{name_of(page)}: {wrong}"

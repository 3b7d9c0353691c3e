"""`docs/reference/performance.md` with its picture, written from the figures of `make bench`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from infra.config import ROOT

PAGE = ROOT / "docs" / "reference" / "performance.md"
PICTURE = ROOT / "docs" / "pictures" / "cold-starts.svg"
COMMAND = "make bench"
_INTRODUCTION = """# Performance

The cost of cold starts, requests and rebalances, measured beside the budgets. `{command}` writes this page.

* Costs are counted instructions of a Python process (valgrind's cachegrind, {where}). They repeat within 0.01 %,
  whatever else the machine does, but differ between processors and builds of Python. So no test compares them.
* Code is bundled as for AWS: layers, byte code with unchecked hashes, the SDK of the layer.
* A cold start is relative to the floor: a function that makes one DynamoDB client with the boto3 of the runtime.
* An invocation is repeated in one process, against recorded answers of AWS: conversion, signing and parsing count, the
  network does not.
* Exact counts are budgets of tests, and fail `make test`: calls of AWS and write units (`test_budgets.py`,
  `test_trade_budgets.py`), services and operations of the SDK (`test_sdk_data.py`), and the modules that a cold start
  loads (`test_cold_imports.py`).

"Before" is the release before the functions brought their own SDK.
"""
_BAR, _LEFT, _WIDTH, _SCALE = 18, 300, 760, 190


@dataclass(frozen=True)
class Measurement:
    """A measured figure, beside the budget and the figure before, where there are any."""

    name: str
    measured: float
    budget: float | None = None
    before: float | None = None

    def cells(self) -> list[str]:
        """Return the cells of a table row: counts as they are, other figures with 2 decimals, nothing for None."""
        return [self.name, *map(_cell, (self.measured, self.budget, self.before))]


def write(where: str, cold: Sequence[Measurement], others: Mapping[str, Sequence[Measurement]]) -> None:
    """Write the page and the picture of the cold starts; `others` are the figures by title."""
    parts = [_INTRODUCTION.format(command=COMMAND, where=where)]
    parts += [
        "## Cold starts, relative to the floor\n",
        f"![Cold starts of all functions](../pictures/{PICTURE.name})\n",
    ]
    parts.append(_table(cold))
    for title, figures in others.items():
        parts += [f"## {title}\n", _table(figures)]
    PAGE.write_text("\n".join(parts))
    PICTURE.write_text(_picture(cold))


def _cell(number: float | None) -> str:
    match number:
        case None:
            return ""
        case int():
            return str(number)
    return f"{number:.2f}"


def _table(figures: Sequence[Measurement]) -> str:
    rows = [" | ".join(figure.cells()) for figure in figures]
    return "\n".join(
        ["| what | measured | budget | before |", "|---|---:|---:|---:|", *(f"| {row} |" for row in rows), ""]
    )


def _picture(figures: Sequence[Measurement]) -> str:
    """Return bars of the measured figures, with the figure before as a line and the budget as a dashed line."""
    height = _BAR * len(figures) + 30
    shapes = [f'<text x="{_LEFT}" y="14">bar: measured; line: before; dashed: budget; the floor is 1</text>']
    for row, figure in enumerate(figures):
        top = 24 + _BAR * row
        shapes.append(f'<text x="{_LEFT - 8}" y="{top + 11}" text-anchor="end">{escape(figure.name)}</text>')
        length = figure.measured * _SCALE
        shapes.append(f'<rect x="{_LEFT}" y="{top}" width="{length:.1f}" height="{_BAR - 5}" fill="#4878a8"/>')
        shapes.append(f'<text x="{_LEFT + 6}" y="{top + 11}" fill="white">{figure.measured:.2f}</text>')
        for number, dashes in ((figure.before, ""), (figure.budget, ' stroke-dasharray="3 2"')):
            if number is not None:
                x = f"{_LEFT + number * _SCALE:.1f}"
                shapes.append(
                    f'<line x1="{x}" x2="{x}" y1="{top - 1}" y2="{top + _BAR - 4}" stroke="#b04030"{dashes}/>'
                )
    style = "<style>text{font:11px sans-serif}</style>"
    box = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    background = f'<rect width="{_WIDTH}" height="{height}" fill="white"/>'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {box}>', style, background, *shapes, "</svg>", ""])

"""`make bench`: prints each figure beside its budget, and writes the page of performance.

Instructions and ratios are never asserted: machines differ. Counts that are exact everywhere are budgets of tests.
"""

import shutil
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from tests.benchmarks import cost, page
from tests.benchmarks.cold import COLD_STARTS, staging
from tests.benchmarks.page import Measurement
from tests.benchmarks.recordings import PATHS, record

WARM_BUDGETS = {"accept, 5 assets": 8.4, "decide 10 reports, 50 assets": 92.0}
WARM_BEFORE = {"accept, 5 assets": 13.28, "decide 10 reports, 50 assets": 161.47}
COST = "Cost of a million rebalances of 50 assets, $"


def main() -> None:
    """Measure, print and write every figure."""
    unit, scale = ("M instructions", 1e6) if shutil.which("valgrind") else ("CPU ms", 1e-3)
    recordings = {name: record(prepare) for name, prepare in PATHS.items()}
    with staging() as staged:
        floor = staged.floor()
        cold = [
            Measurement(start.function, staged.cost(start) / floor, start.budget, start.before) for start in COLD_STARTS
        ]
        warm = [
            Measurement(name, staged.warm_cost(recording) / scale, WARM_BUDGETS.get(name), WARM_BEFORE.get(name))
            for name, recording in recordings.items()
        ]
        where = f"Python {staged.bundler.target.python_version}"
    calls = [Measurement(name, len(recording.answers)) for name, recording in recordings.items()]
    dollars = [
        Measurement("on the queue path", cost.per_million(accepted=False), 8.0),
        Measurement("over HTTP", cost.per_million(accepted=True)),
    ]
    others = {f"Invocations, {unit}": warm, "Calls of AWS in the same invocations": calls, COST: dollars}
    page.write(where, cold, others)
    _print("cold starts, relative to the floor", cold)
    for title, figures in others.items():
        _print(title, figures)


def _print(title: str, figures: Iterable[Measurement]) -> None:
    table = Table("what", "measured", "budget", "before", title=f"{title} ({page.COMMAND})")
    for figure in figures:
        table.add_row(*figure.cells())
    Console(width=110).print(table)


if __name__ == "__main__":
    main()

"""The output of `make simulate`: progress bars, then a table of the results."""

from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra.local.simulate import Simulation, SimulationResult


def run(console: Console, simulation: Simulation, *, portfolios: int, changes: int) -> SimulationResult:
    """Run the simulation with two progress bars."""
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for title, total, steps in (
            ("portfolios", portfolios, simulation.open()),
            ("price moves", changes, simulation.move(changes)),
        ):
            task = progress.add_task(title, total=total)
            for done in steps:
                progress.advance(task, done)
    return simulation.finish()


def show(console: Console, result: SimulationResult) -> None:
    """Print the totals, and each portfolio out of band."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _rows(result):
        table.add_row(name, value)
    console.print(table)
    for portfolio_id, reason in sorted(result.out_of_band.items()):
        console.print(f"  out of band  {portfolio_id}  {reason or 'no reason was given'}", markup=False)


def _rows(result: SimulationResult) -> list[tuple[str, str]]:
    before, after = ([drifts[position] for drifts in result.drifts] for position in (0, 1))
    return [
        ("quotes sent", str(result.quotes)),
        ("holders of moved symbols", f"{result.holders}  (summed over the waves)"),
        ("bands crossed", f"{result.crossed}  (computed from the prices of each wave, summed over the waves)"),
        ("evaluated", f"at least {result.evaluated}  (counted from stored checks and rebalances)"),
        ("rebalances", _counted(result.statuses)),
        ("orders", _counted(result.orders)),
        ("drift before", _spread(before)),
        ("drift after", _spread(after)),
        ("out of band at the end", str(len(result.out_of_band))),
    ]


def _counted(counts: dict[str, int]) -> str:
    parts = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
    return f"{sum(counts.values())}  ({parts})" if parts else "0"


def _spread(drifts: Sequence[Decimal]) -> str:
    if not drifts:
        return "-"
    return f"mean {sum(drifts) / len(drifts):.2f} %, maximum {max(drifts):.2f} %"

"""What `make simulate` prints."""

from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra.local.simulate import Simulation, Story


def run(console: Console, simulation: Simulation, *, portfolios: int, changes: int) -> Story:
    """Runs it under two progress bars."""
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


def show(console: Console, story: Story) -> None:
    """Prints what happened, and each portfolio that is not back in its band."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _rows(story):
        table.add_row(name, value)
    console.print(table)
    for portfolio_id, reason in sorted(story.outside.items()):
        console.print(f"  not in band  {portfolio_id}  {reason or 'no reason was given'}", markup=False)


def _rows(story: Story) -> list[tuple[str, str]]:
    befores, afters = ([each[n] for each in story.drifts] for n in (0, 1))
    return [
        ("quotes sent", str(story.quotes)),
        ("holders of what moved", f"{story.holders}  (summed over the waves)"),
        ("bands left", f"{story.crossed}  (by the prices of a wave, summed over the waves)"),
        ("evaluated", f"at least {story.evaluated}  (what the checks and rebalances left to see)"),
        ("rebalances", _counted(story.outcomes)),
        ("orders", _counted(story.orders)),
        ("drift before", _spread(befores)),
        ("drift after", _spread(afters)),
        ("not back in band", str(len(story.outside))),
    ]


def _counted(counts: dict[str, int]) -> str:
    parts = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
    return f"{sum(counts.values())}  ({parts})" if parts else "0"


def _spread(drifts: Sequence[Decimal]) -> str:
    if not drifts:
        return "-"
    return f"{sum(drifts) / len(drifts):.2f} % on average, {max(drifts):.2f} % at most"

"""`make bench`: the budgets that are times and ratios. They are printed, never asserted: machines differ.

Cold starts are counted in instructions by valgrind's cachegrind where it is installed (they repeat within 0.01 %), else
in CPU seconds. Everything else is CPU time of this process against a floor measured in the same run.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks import cost, warm

ROOT = Path(__file__).parents[2]
FLOOR = "import json, logging, http.client, boto3\nboto3.client('dynamodb')\n"
API, WORKER = 1.5, 1.45
COLD_STARTS = {
    "portfolios_api": ("portfolios.rebalances", API),
    "analytics_api": ("figures.analysis", API),
    "betting_api": ("wiring.orders", API),
    "betting_rpc": ("wiring.orders", API),
    "rebalancing_on_rebalance_requested": ("report_worker", WORKER),
    "execution_on_execution_requested": ("execution_worker", WORKER),
    "market_on_quote_received": ("watch_matcher", WORKER),
}
"""Functions, each with the service that it is wired to on first use, and its budget."""


def main() -> None:
    """Print each figure beside its budget."""
    table = Table("what", "measured", "budget")
    floor, unit = _cold(FLOOR)
    for name, (service, budget) in COLD_STARTS.items():
        code = f"from functions.{name} import handler\nhandler.{service}()\n"
        table.add_row(
            f"cold start of {name}, {unit} against boto3's client", f"{_cold(code)[0] / floor:.2f}", f"≤ {budget}"
        )
    outside, inside = warm.accept(assets=5)
    table.add_row("warm accept, 5 assets: CPU outside the SDK's calls / inside", f"{outside / inside:.2f}", "≤ 0.35")
    table.add_row("the same in µs", f"{outside * 1e6:.0f} / {inside * 1e6:.0f}", "")
    table.add_row("worker, 10 messages, against a plain loop", f"{warm.worker_against_loop():.2f}", "≤ 1.5")
    table.add_row("a million rebalances, 50 assets, queue path", f"${cost.per_million(accepted=False):.2f}", "≤ $8")
    table.add_row("a million rebalances, 50 assets, over HTTP", f"${cost.per_million(accepted=True):.2f}", "")
    Console(width=110).print(table)


def _cold(code: str) -> tuple[float, str]:
    """Return the cost of starting Python and running the code, with its unit."""
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "start.py"
        script.write_text(code)
        command = [sys.executable, str(script)]
        environment = {
            **os.environ,
            **warm.ENVIRONMENT,
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/core/python'}",
        }
        subprocess.run(command, env=environment, check=True)  # writes the .pyc
        valgrind = shutil.which("valgrind")
        if valgrind:
            count = [valgrind, "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", *command]
            told = subprocess.run(count, env=environment, check=True, capture_output=True, text=True).stderr
            found = re.search(r"I\s+refs:\s+([\d,]+)", told)
            assert found is not None, told
            return float(found[1].replace(",", "")), "instructions"
        return statistics.median(_cpu_seconds(command, environment) for _ in range(7)), "CPU seconds"


def _cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    before = os.times()
    subprocess.run(command, env=environment, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    main()

"""`make mutation`: measure how many small changes of the code the tests notice, by mutmut.

Each area is a group of modules with the tests that have to notice a change. `survivors.toml` lists the changes that no
test notices, each with the reason. The command fails on a survivor without an entry, on an entry that is no survivor
any more, and where less than `GOAL` percent of the changes are noticed. The pattern `*7` tries the tenth part of the
changes whose number ends in 7; entries are not compared then.

The modules of the tests are imported before a change is made: a value that they compute on import shows no change.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".local" / "mutation"
TOOLS = WORK / "tools"
SURVIVORS = Path(__file__).with_name("survivors.toml")
GOAL = 90
SURVIVED, NO_TESTS = 0, 33
"""Exit codes of mutmut; every other code is that of a test that failed, crashed or ran out of time."""


class Area(Struct, frozen=True):
    """Modules to change, below `trimtab`, and the tests to run."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


BALANCING, PLANNER = "portfolios/balancing", "tests/unit/balancing"
AREAS = {
    "kernel": Area(
        ("kernel/money", "kernel/ids", "kernel/strict_json"), ("tests/unit/kernel", "tests/unit/test_doctests.py")
    ),
    "planner": Area(
        tuple(
            f"{BALANCING}/{module}"
            for module in (
                "order_planner",
                "order_sizing",
                "buys",
                "planned_changes",
                "further_trades",
                "needless_trades",
                "planned_trades",
            )
        ),
        (
            f"{PLANNER}/test_recorded_plans.py",
            f"{PLANNER}/test_order_planner.py",
            f"{PLANNER}/test_order_planner_examples.py",
            f"{PLANNER}/test_whole_share_plans.py",
            f"{PLANNER}/test_reference_plans.py",
        ),
    ),
    "state_machine": Area(
        ("portfolios/execution/state_machine",),
        ("tests/unit/execution",),
    ),
    "ledger": Area(
        ("portfolios/portfolio/model", "portfolios/portfolio/holdings"),
        ("tests/unit/portfolio", "tests/unit/ledger"),
    ),
    "settlement": Area(
        tuple(f"betting/domain/{module}" for module in ("orders", "results", "totals", "positions", "markets")),
        ("tests/unit/betting",),
    ),
}


class Survivor(Struct, frozen=True):
    """A change of a function that no test notices: the removed and the added lines."""

    function: str
    change: str


class ListedSurvivor(Struct, frozen=True, forbid_unknown_fields=True):
    """An entry of `survivors.toml`: a survivor, and the reason why no test can or need notice the change."""

    function: str
    change: str
    reason: str

    @property
    def survivor(self) -> Survivor:
        """The survivor without the reason."""
        return Survivor(self.function, self.change.strip())


class ListedSurvivors(Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of `survivors.toml`."""

    survivor: tuple[ListedSurvivor, ...] = ()


def prepare(name: str, area: Area) -> Path:
    """Return a new workspace in which mutmut finds the sources, the tests and the configuration of an area."""
    workspace = WORK / "areas" / name
    shutil.rmtree(workspace, ignore_errors=True)
    workspace.mkdir(parents=True)
    for folder in ("tests", "functions", "infra", "events", "layers/core/python/trimtab"):
        (workspace / Path(folder).name).symlink_to(ROOT / folder)
    # Counting the calls of each function takes longer than the test of hostile texts allows.
    selection = ["-m", "not proof", "-k", "not a_hostile_text"]
    options: Mapping[str, Sequence[str]] = {
        "source_paths": ["trimtab"],
        "only_mutate": [f"trimtab/{module}.py" for module in area.modules],
        "also_copy": ["functions", "infra", "events"],
        "pytest_add_cli_args": [*selection, "-p", "no:cacheprovider", "--hypothesis-profile=mutation"],
        "pytest_add_cli_args_test_selection": area.tests,
    }
    lines = (f"{option} = {json.dumps(list(values))}" for option, values in options.items())
    (workspace / "pyproject.toml").write_text("\n".join(["[tool.mutmut]", *lines, ""]))
    return workspace


def run(workspace: Path, processes: str, changes: Sequence[str]) -> None:
    """Run mutmut on the changes whose names match one of the patterns, on all without patterns.

    Raises `CalledProcessError` where the tests fail without a change.
    """
    environment = {**os.environ, "PYTHONPATH": str(TOOLS)}
    subprocess.run(
        [sys.executable, "-m", "mutmut", "run", "--max-children", processes, *changes],
        cwd=workspace,
        env=environment,
        check=True,
    )


def exit_codes(workspace: Path, area: Area) -> dict[str, int]:
    """Return the exit code of each change that was tried, by the name that mutmut gave the change."""
    found: dict[str, int] = {}
    for module in area.modules:
        meta = json.loads((workspace / "mutants" / "trimtab" / f"{module}.py.meta").read_text())
        found |= {change: code for change, code in meta["exit_code_by_key"].items() if code is not None}
    return found


def survivors(workspace: Path, codes: Mapping[str, int]) -> Iterator[Survivor]:
    """Yield the changes that no test noticed."""
    from mutmut.configuration import reset_config  # noqa: PLC0415 - installed by `make mutation` only
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # noqa: PLC0415

    with contextlib.chdir(workspace):
        reset_config()  # mutmut keeps the configuration of the area before
        for name, code in codes.items():
            if code in {SURVIVED, NO_TESTS}:
                module, _, mangled = name.rpartition("__mutmut_")[0].rpartition(".")
                function = mangled.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
                lines = get_diff_for_mutant(name).splitlines()
                changed = [f"{line[0]} {line[1:].strip()}" for line in lines[2:] if line[:1] in {"-", "+"}]
                yield Survivor(f"{module}.{function}", "\n".join(changed))


def check(name: str, listed: Mapping[Survivor, str], processes: str, changes: Sequence[str]) -> bool:
    """Run an area, print the result and return whether the result is as listed."""
    area = AREAS[name]
    workspace = prepare(name, area)
    run(workspace, processes, changes)
    codes = exit_codes(workspace, area)
    alive = list(survivors(workspace, codes))
    noticed = 100 * (len(codes) - len(alive)) / len(codes)
    print(f"\n{name}: {len(codes) - len(alive)} of {len(codes)} changes noticed, {noticed:.1f} %")
    unlisted = [survivor for survivor in alive if survivor not in listed]
    prefixes = tuple(f"trimtab.{module.replace('/', '.')}." for module in area.modules)
    outdated = [] if changes else [each for each in listed if each.function.startswith(prefixes) and each not in alive]
    for title, found in (("no test notices, and no entry explains", unlisted), ("outdated entry", outdated)):
        for survivor in found:
            print(f"\n{title}: {survivor.function}\n{survivor.change}")
    return not unlisted and not outdated and noticed >= GOAL


def main(arguments: Sequence[str]) -> int:
    """Check areas and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("areas", nargs="*", metavar="area", help=f"one of {', '.join(AREAS)}; all by default")
    parser.add_argument("--processes", default="1", help="number of changes to try at a time")
    parser.add_argument("--changes", nargs="*", default=[], help="patterns of the names of the changes, all by default")
    given = parser.parse_args(arguments)
    entries = msgspec.convert(tomllib.loads(SURVIVORS.read_text()), ListedSurvivors).survivor
    listed = {entry.survivor: entry.reason for entry in entries}
    results = [check(name, listed, given.processes, given.changes) for name in given.areas or AREAS]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.path.insert(0, str(TOOLS))
    sys.exit(main(sys.argv[1:]))

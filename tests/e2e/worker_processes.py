"""The processes in which the local AWS runs functions."""

import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.local import cloud
from tests.e2e.conftest import System

EVERY = b"AWS_LAMBDA_FUNCTION_NAME="


def kill_workers(system: System, named: bytes = EVERY, choose: Callable[[Sequence[int]], Sequence[int]] = list) -> int:
    """Kill the chosen workers whose environment has the text, without a warning; return their number."""
    running = cloud.find(system.workspace)
    assert running is not None
    assert running.pid is not None
    killed = 0
    for process in choose(sorted(_workers(running.pid, named))):
        try:
            os.kill(process, signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            continue  # ended meanwhile
    return killed


def _workers(group: int, named: bytes) -> list[int]:
    processes = (process for process in Path("/proc").iterdir() if process.name.isdigit())
    return [int(process.name) for process in processes if _is_worker(process, group, named)]


def _is_worker(process: Path, group: int, named: bytes) -> bool:
    number = int(process.name)
    try:
        return number != group and os.getpgid(number) == group and named in (process / "environ").read_bytes()
    except OSError:
        return False  # ended meanwhile

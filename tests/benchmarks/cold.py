"""Cold starts as on Lambda: layers and functions bundled as for AWS, with byte code of unchecked hashes.

The cost is relative to the floor: a function that makes one DynamoDB client with the boto3 of the runtime. The bundles
are built for the Python of AWS where this machine has one, else for the Python that runs the benchmark.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import files
from pathlib import Path

from infra.config import ROOT
from infra.settings import container, host
from infra.tools.bundling import LAYERS, Bundler, compile_byte_code, find_python
from tests.benchmarks.recordings import Recording
from tests.support.system import in_process_system

REPLAY = Path(__file__).with_name("replay.py")
FLOOR = "import json, logging, http.client, boto3\nboto3.client('dynamodb')\n"
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")
"""The distributions that the Python runtime of Lambda brings."""
API, WORKER = 1.42, 1.25
EXTRA_LAYERS = {"analytics_api": ["pictures"], "analytics_on_report_requested": ["pictures"], "betting_rpc": ["rpc"]}
_INSTRUCTIONS = re.compile(r"I\s+refs:\s+([\d,]+)")


@dataclass(frozen=True)
class ColdStart:
    """A function with the wiring of its first invocation, the budget, and the figure before.

    Small functions have the figure before as their budget.
    """

    function: str
    wiring: tuple[str, ...]
    budget: float
    before: float


COLD_STARTS = (
    ColdStart("portfolios_api", ("app.rebalances",), API, 1.94),
    ColdStart("balancing_api", ("handler.portfolios",), API, 1.89),
    ColdStart("market_api", ("handler.quotes",), API, 1.69),
    ColdStart("betting_api", ("handler.wiring.orders",), API, 1.70),
    ColdStart("betting_rpc", ("handler.wiring.orders",), API, 2.15),
    ColdStart("analytics_api", ("app.analysis",), API, 1.80),
    ColdStart("notifications_api", ("handler.contact_book",), API, 1.66),
    ColdStart("webhooks_api", ("handler.event_feed",), API, 1.66),
    ColdStart("platform_api", ("handler.settings",), API, 1.56),
    ColdStart("compat_api", ("rebalancer.rebalances",), API, 1.72),
    ColdStart("rebalancing_on_rebalance_requested", ("handler.report_worker",), WORKER, 1.62),
    ColdStart("balancing_on_check_requested", ("handler.price_checker",), WORKER, 1.71),
    ColdStart("execution_on_execution_requested", ("handler.execution_worker",), WORKER, 1.71),
    ColdStart("market_on_quote_received", ("handler.quote_service", "handler.watch_matcher"), WORKER, 1.68),
    ColdStart("ledger_on_recalculation_requested", ("handler.recalculation_worker",), WORKER, 1.64),
    ColdStart("betting_on_insight_received", ("handler.insights",), WORKER, 1.60),
    ColdStart("betting_on_settlement_requested", ("handler.settlements",), WORKER, 1.62),
    ColdStart("analytics_on_valuation_requested", ("handler.valuations",), WORKER, 1.67),
    ColdStart("analytics_on_report_requested", ("handler.analysis", "handler.mail_service"), WORKER, 1.73),
    ColdStart("webhooks_on_event", ("handler.event_logger",), WORKER, 1.60),
    ColdStart("webhooks_on_delivery_requested", ("handler.deliverer",), WORKER, 1.61),
    ColdStart("webhooks_on_push_requested", ("handler.pusher",), WORKER, 1.58),
    ColdStart("notifications_on_alert", ("handler.mail_service",), WORKER, 1.62),
    ColdStart("authorizer", ("handler.settings",), 0.90, 0.90),
    ColdStart("events_on_commit", ("handler.publisher",), 1.46, 1.46),
    ColdStart("balancing_on_commit", ("handler.check_queue",), 1.47, 1.47),
    ColdStart("balancing_on_sweep", ("handler.sweeper",), 1.58, 1.58),
    ColdStart("betting_on_commit", ("handler.settlements",), 1.52, 1.52),
    ColdStart("analytics_on_night", ("handler.bulk_requests",), 1.51, 1.51),
    ColdStart("analytics_on_portfolio_changed", ("handler.queues",), 1.52, 1.52),
    ColdStart("market_on_night", ("handler.ingestion",), 1.54, 1.54),
    ColdStart("notifications_on_alert_published", ("handler.webhook",), 1.24, 1.24),
    ColdStart("notifications_on_mail_reported", ("handler.feedback",), 1.59, 1.59),
    ColdStart("notifications_on_operator_alert", ("handler.settings",), 1.24, 1.24),
    ColdStart("webhooks_on_connection", ("handler.connections",), 1.64, 1.64),
)


@dataclass(frozen=True)
class Staging:
    """Bundles and a runtime on this machine: the directories of `/var/task`, `/opt` and `/var/runtime`."""

    bundler: Bundler
    python: str
    runtime: Path
    environment: Mapping[str, str]

    def floor(self) -> float:
        """Return the cost of the smallest function with a DynamoDB client."""
        return self._cost(["-c", FLOOR], [self.runtime])

    def cost(self, start: ColdStart) -> float:
        """Return the cost of starting a function and wiring what the first invocation needs."""
        package = f"functions.{start.function}"
        calls = "".join(_call(package, call) for call in start.wiring)
        code = f"from importlib import import_module\nfrom {package}.handler import handler\n{calls}"
        return self._cost(["-c", code], self._paths(start.function))

    def warm_cost(self, recording: Recording, rounds: int = 5) -> float:
        """Return the cost of a repeated invocation: a process with some more of them, less a process with one."""
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "recording.json"
            file.write_text(json.dumps(asdict(recording)))
            paths = self._paths(recording.function)
            one, more = (self._cost([str(REPLAY), str(file), str(times)], paths) for times in (1, 1 + rounds))
        return (more - one) / rounds

    def _paths(self, function: str) -> list[Path]:
        layers = [*EXTRA_LAYERS.get(function, []), *LAYERS]
        paths = [self.bundler.layer(layer).path / "python" for layer in layers]
        return [self.bundler.function(function).path, *paths, self.runtime]

    def _cost(self, arguments: list[str], paths: list[Path]) -> float:
        """Return the instructions of a Python process, or its CPU seconds where valgrind is not installed."""
        command = [self.python, "-s", "-S", *arguments]
        fixed = {
            "PYTHONHASHSEED": "0",
            "THREADS": "1",
            "PYDANTIC_DISABLE_PLUGINS": "__all__",
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
        }
        environment = {**self.environment, **fixed}
        valgrind = shutil.which("valgrind")
        if valgrind:
            count = [valgrind, "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", *command]
            report = subprocess.run(count, env=environment, check=True, capture_output=True, text=True).stderr
            found = _INSTRUCTIONS.search(report)
            assert found is not None, report
            return float(found[1].replace(",", ""))
        return statistics.median(_cpu_seconds(command, environment) for _ in range(7))


@contextmanager
def staging() -> Iterator[Staging]:
    """Provide bundles for the Python of AWS, or for this Python where the machine has no other."""
    target = container() if find_python(container().python_version) else host()
    python = find_python(target.python_version)
    assert python is not None
    with in_process_system():
        environment = {**os.environ}
    with tempfile.TemporaryDirectory() as directory:
        runtime = Path(directory)
        for distribution in RUNTIME:
            for file in files(distribution) or ():
                if file.suffix != ".pyc" and ".." not in file.parts:
                    (runtime / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file.locate(), runtime / file)
        compile_byte_code(python, runtime, "/var/runtime")
        yield Staging(Bundler(target, ROOT / ".local" / "bundles"), python, runtime, environment)


def _call(package: str, call: str) -> str:
    module, _, name = call.partition(".")
    return f"import_module('{package}.{module}').{name}()\n"


def _cpu_seconds(command: list[str], environment: Mapping[str, str]) -> float:
    before = os.times()
    subprocess.run(command, env=dict(environment), check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system

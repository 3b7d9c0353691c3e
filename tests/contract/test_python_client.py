"""A Python client that openapi-python-client generates works without further code: create, trade, rebalance, page."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.config import ROOT
from tests.contract.wsgi import TOKEN, application
from tests.support.system import System, in_process_system

PACKAGE = "trimtab_client"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Generate the client, and make its package importable."""
    folder = tmp_path_factory.mktemp("generated")
    settings = folder / "settings.yaml"
    settings.write_text(f"package_name_override: {PACKAGE}\npost_hooks: []\n")
    document = ROOT / "functions/platform_api/generated/openapi.json"
    command = [
        "generate",
        "--path",
        document,
        "--output-path",
        folder / PACKAGE,
        "--meta",
        "none",
        "--config",
        settings,
    ]
    written = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *map(str, command)], capture_output=True, text=True, check=False
    )
    assert written.returncode == 0, written.stdout + written.stderr
    sys.path.insert(0, str(folder))
    yield folder / PACKAGE
    sys.path.remove(str(folder))


@pytest.fixture
def client(generated: Path) -> Any:
    """A generated client that sends its requests to the system in this process."""
    assert generated.is_dir()
    transport = {"transport": httpx.WSGITransport(application)}
    return module("client").AuthenticatedClient("http://localhost", token=TOKEN, httpx_args=transport)


@pytest.fixture
def running() -> Iterator[System]:
    with in_process_system() as system:
        yield system


def module(name: str) -> Any:
    """A module of the generated package."""
    return importlib.import_module(f"{PACKAGE}.{name}")


def call(client: Any, operation: str, *path: str, body: tuple[str, dict[str, Any]] | None = None, **query: Any) -> Any:
    """The parsed response of an operation; the body is the name of its model and its members."""
    more = {"body": getattr(module("models"), body[0]).from_dict(body[1])} if body else {}
    return module(f"api.{operation}").sync(*path, client=client, **more, **query)


def test_the_client_creates_trades_rebalances_and_reads_pages(client: Any, running: System) -> None:
    members = {"user_id": "1", "allocation": {"stocks": 60, "bonds": 30, "gold": 10}, "cash": "1000.00"}
    portfolio = call(client, "portfolios.create_portfolio", body=("CreatePortfolio", members))
    assert portfolio.allocation.additional_properties == {"stocks": "60.0000", "bonds": "30.0000", "gold": "10.0000"}
    for number in range(3):
        trade = {"ref_id": f"t{number}", "side": "BUY", "security_type": "stock", "symbol": "AAPL"}
        bought = {**trade, "quantity": "1", "amount": "10.00"}
        recorded = call(client, "trades.record_trade", portfolio.portfolio_id, body=("RecordTrade", bought))
        assert (recorded.side.value, recorded.amount) == ("BUY", "10.00")
    report = {"user_id": "1", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}, "request_id": "drift"}
    accepted = call(client, "rebalances.request_rebalance", body=("RequestRebalance", report))
    running.drain_queue()
    found = call(client, "rebalances.get_rebalance", portfolio.portfolio_id, accepted.rebalance_id)
    changes = [(each.action.value, each.asset, each.rebalance_percent) for each in found.transactions]
    assert sorted(changes) == [("BUY", "bonds", "10.0000"), ("SELL", "stocks", "10.0000")]
    seen, cursor = [], module("types").UNSET
    while cursor is not None:
        page = call(client, "trades.list_trades", portfolio.portfolio_id, limit=2, cursor=cursor)
        seen += [each.ref_id for each in page.items]
        cursor = page.next_cursor
    assert sorted(seen) == ["t0", "t1", "t2"]


def test_the_client_gets_a_problem_with_a_type_of_the_enum(client: Any, running: System) -> None:
    assert running
    problem = call(client, "portfolios.get_portfolio", "265076e4-f1a0-5d1f-99a9-59a8b0e03f01")
    assert (problem.status, problem.type_.value) == (404, "urn:trimtab:problem:not_found")
    members = {"user_id": "1", "allocation": {"stocks": 60}}
    problem = call(client, "portfolios.create_portfolio", body=("CreatePortfolio", members))
    assert (problem.status, problem.type_.value) == (400, "urn:trimtab:problem:invalid_request")
    assert [error.field for error in problem.errors] == ["allocation"]

"""The clients and the web page of `docs/examples` work with the deployed system."""

from pathlib import Path

import pytest

from infra.settings import SCOPES
from tests.e2e.conftest import System
from tests.support.example_clients import STEPS, run_browser_example, run_python_example, run_typescript_example


def test_the_python_client_trades_rebalances_pages_and_gets_a_problem(system: System, tmp_path: Path) -> None:
    token = system.issuer.token(tenant="python-client", user_id=None, scopes=SCOPES)
    assert run_python_example(tmp_path, system.stack.api_url, token) == STEPS


@pytest.mark.assurance("Clients of the examples, on the deployed system")
@pytest.mark.proof
def test_the_typescript_client_trades_rebalances_pages_and_gets_a_problem(system: System, tmp_path: Path) -> None:
    token = system.issuer.token(tenant="typescript-client", user_id=None, scopes=SCOPES)
    assert run_typescript_example(tmp_path, system.stack.api_url, token) == STEPS


@pytest.mark.assurance("Clients of the examples, on the deployed system")
@pytest.mark.proof
def test_a_web_page_of_another_origin_creates_a_portfolio_and_shows_its_rebalance(
    system: System, tmp_path: Path
) -> None:
    token = system.issuer.token(tenant="browser", user_id=None, scopes=SCOPES)
    shown = run_browser_example(tmp_path, system.stack.api_url, token, system.stack.socket_url)
    assert shown[0] == "COMPLETED"
    assert sorted(shown[1:]) == ["BUY bonds 10.0000", "SELL stocks 10.0000"]

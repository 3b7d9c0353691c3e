"""The examples of the documentation work with the system in this process, over HTTP."""

from pathlib import Path

import pytest

from tests.contract.wsgi import TOKEN
from tests.support.example_clients import STEPS, run_python_example, run_typescript_example


def test_the_python_client_trades_rebalances_pages_and_gets_a_problem(address: str, tmp_path: Path) -> None:
    assert run_python_example(tmp_path, address, TOKEN) == STEPS


@pytest.mark.assurance("Clients of the examples, on one process", environment="PYTHONPATH=.local/contract")
@pytest.mark.proof
def test_the_typescript_client_trades_rebalances_pages_and_gets_a_problem(address: str, tmp_path: Path) -> None:
    assert run_typescript_example(tmp_path, address, TOKEN) == STEPS

"""The examples of the documentation work with the system in this process, over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from werkzeug.serving import make_server

from tests.contract.wsgi import TOKEN, application
from tests.support.example_clients import STEPS, run_python_example, run_typescript_example
from tests.support.system import in_process_system


@pytest.fixture
def address() -> Iterator[str]:
    """The address of the system; its worker decides a rebalance before the response to its request is sent."""
    with in_process_system() as system:

        def with_worker(environ: dict[str, Any], start_response: Any) -> Any:
            response = application(environ, start_response)
            system.drain_queue()
            return response

        server = make_server("127.0.0.1", 0, with_worker)
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_python_client_trades_rebalances_pages_and_gets_a_problem(address: str, tmp_path: Path) -> None:
    assert run_python_example(tmp_path, address, TOKEN) == STEPS


@pytest.mark.proof
def test_the_typescript_client_trades_rebalances_pages_and_gets_a_problem(address: str, tmp_path: Path) -> None:
    assert run_typescript_example(tmp_path, address, TOKEN) == STEPS

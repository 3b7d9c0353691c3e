"""The system in this process behind an HTTP server, for clients that run in processes of their own."""

from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from werkzeug.serving import make_server

from tests.contract.wsgi import application
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

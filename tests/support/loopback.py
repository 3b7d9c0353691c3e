"""Real HTTP servers on this computer, for tests that need another party."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class LoopbackServer:
    """A server on a free port that answers each request in a thread of its own and writes no access log."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        handler.log_message = _write_nothing  # type: ignore[assignment, method-assign]
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def origin(self) -> str:
        """The origin of the server, `http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


def _write_nothing(*_: Any) -> None:
    """Leave out a line of an access log."""

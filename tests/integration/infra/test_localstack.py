"""LocalStack is recognised over HTTP, and commands without a running cloud say how to start one."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from infra.local import __main__ as commands
from infra.local import cloud
from infra.local.environment import LocalError, Workspace
from tests.support.loopback import LoopbackServer


class KnownPaths(BaseHTTPRequestHandler):
    """Answers the paths in `bodies` with 200, all others with 404."""

    bodies: dict[str, bytes]

    def do_GET(self) -> None:
        """Send the body of the path."""
        body = self.bodies.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The address of a server."""
    server = LoopbackServer(KnownPaths)
    yield server.origin
    server.close()


@pytest.mark.parametrize("in_docker", [True, False])
def test_a_localstack_reports_the_platform_of_its_functions(endpoint: str, in_docker: bool) -> None:
    KnownPaths.bodies = {"/_localstack/info": b'{"is_docker": true}' if in_docker else b'{"is_docker": false}'}
    running = cloud.attach(endpoint)
    assert cloud.functions_run_in(running.endpoint) == ("container" if in_docker else "host")


def test_the_embedded_local_aws_is_not_a_localstack(endpoint: str) -> None:
    KnownPaths.bodies = {"/_localstack/health": b"{}"}
    with pytest.raises(LocalError, match="make down"):
        cloud.attach(endpoint)


def test_the_error_for_a_missing_localstack_says_how_to_start_it() -> None:
    with pytest.raises(LocalError, match="docker compose up"):
        cloud.attach(f"http://127.0.0.1:{cloud.free_port()}")


COMMANDS = ("token", "logs", "simulate")


@pytest.mark.parametrize("deployed", [True, False])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_without_a_running_cloud_says_in_one_line_to_run_make_up(
    command: str,
    deployed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workspace = Workspace(tmp_path)
    if deployed:
        endpoint = f"http://127.0.0.1:{cloud.free_port()}"
        stored = {"endpoint_url": endpoint, "api_url": "", "token": "", "region": "", "event_bus": ""}
        workspace.stack_file.write_text(json.dumps({**stored, "queues": {}, "tables": {"market": "m", "betting": "b"}}))
    monkeypatch.setattr(commands, "Workspace", lambda: workspace)
    monkeypatch.setattr(commands, "isolate", lambda: None)
    monkeypatch.setattr("sys.argv", ["infra.local", command])

    assert commands.main() == 1

    output, error = capsys.readouterr()
    assert "make up" in error
    assert error.count("\n") == 1
    assert command == "simulate" or not output

"""The local AWS as a background process, listening on 127.0.0.1 only."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from infra.config import ROOT
from infra.local.environment import LocalError, Workspace, isolated

PYTHON = ROOT / ".local" / "aws" / "bin" / "python"
SERVER = Path(__file__).with_name("server.py")
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_HEALTH = "/_ministack/health"
_LOCALSTACK_INFO = "/_localstack/info"
_PORTS = range(20_000, 32_000)
"""Ports below those that Linux and macOS give to outgoing connections."""


@dataclass(frozen=True)
class Cloud:
    """A running local cloud. `pid` is the process id of the embedded local AWS, None for LocalStack."""

    endpoint: str
    pid: int | None = None


def start(workspace: Workspace, port: int) -> Cloud:
    """Start the local AWS with the data stored in the workspace, or return the running one.

    With `TRIMTAB_IAM=1` in the environment, each function acts with its own role, and the credentials of `isolated` are
    those of the root.

    Raises LocalError if the local AWS runs on another port, is not installed, or does not start.
    """
    running = find(workspace)
    if running:
        if running.endpoint != _endpoint(port):
            raise LocalError(f"the local cloud already runs at {running.endpoint}: run `make down` first")
        return running
    if not PYTHON.exists():
        raise LocalError("the local AWS is not installed: run `make up`")
    if not _is_free(port):
        raise LocalError(f"port {port} is in use by another program: choose another port with `make up PORT=…`")
    _clear_temporary_files(workspace)
    workspace.temporary_files.mkdir(parents=True, exist_ok=True)
    with workspace.cloud_log.open("wb") as log:
        process = subprocess.Popen(
            [str(PYTHON), "-P", "-W", "ignore::DeprecationWarning", str(SERVER)],
            env=_environment(workspace, port),
            cwd=workspace.cloud_files,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    workspace.process_file.write_text(json.dumps({"pid": process.pid, "endpoint": _endpoint(port)}))
    _wait_until_healthy(process, _endpoint(port), workspace.cloud_log)
    return Cloud(_endpoint(port), process.pid)


def find(workspace: Workspace) -> Cloud | None:
    """Return the running local AWS of the workspace, or None.

    The command line of the process is compared too, because after a reboot another program may have the recorded
    process id.
    """
    try:
        recorded = json.loads(workspace.process_file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return Cloud(recorded["endpoint"], int(recorded["pid"])) if str(SERVER) in _command(recorded["pid"]) else None


def is_answering(endpoint: str) -> bool:
    """Return whether a local AWS or a LocalStack answers at the endpoint."""
    return _answers(endpoint + _HEALTH) or _answers(endpoint + _LOCALSTACK_INFO)


def _command(pid: int) -> str:
    """Return the command line of a process, "" if no such process runs.

    Minimal Linux images have `/proc` but no `ps`; macOS has `ps` but no `/proc`.
    """
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def stop(workspace: Workspace) -> bool:
    """Stop the local AWS of the workspace and the function processes. Return False if no local AWS was running.

    The local AWS saves a last snapshot of the stored data before it stops.
    """
    running = find(workspace)
    if running and running.pid:
        _end(running.pid)
    workspace.process_file.unlink(missing_ok=True)
    _clear_temporary_files(workspace)
    return running is not None


def attach(endpoint: str) -> Cloud:
    """Return the LocalStack at the endpoint. Raises LocalError if no LocalStack answers there."""
    if not _answers(endpoint + _LOCALSTACK_INFO):
        hint = "run `make down` to free the port, then `docker compose up -d`"
        raise LocalError(f"no LocalStack answers at {endpoint}: {hint}")
    return Cloud(endpoint.rstrip("/"))


def functions_run_in(endpoint: str) -> str:
    """Return the place in which the LocalStack at the endpoint runs functions.

    "container" if LocalStack itself runs in a container; "host" if LocalStack starts functions as local processes.
    """
    with urllib.request.urlopen(endpoint + _LOCALSTACK_INFO, timeout=5) as answer:  # noqa: S310 (see `_answers`)
        return "container" if json.load(answer).get("is_docker") else "host"


def free_port() -> int:
    """Return a free port below those of outgoing connections, none of which can then take the port during a restart."""
    for port in random.sample(_PORTS, 100):
        if _is_free(port):
            return port
    raise LocalError(f"no port is free among {_PORTS.start} to {_PORTS.stop}: end a program that listens")


def _environment(workspace: Workspace, port: int) -> dict[str, str]:
    return {
        **isolated(),
        "AUTH": str(os.environ.get("TRIMTAB_IAM") == "1").lower(),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",  # MQTT would listen on a second port
        "TMPDIR": str(workspace.temporary_files),
        "STATE_DIR": str(workspace.cloud_files / "state"),
        "S3_DATA_DIR": str(workspace.cloud_files / "s3"),
        "S3_PERSIST": "1",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "INFO"),
        "PYTHONPATH": "",  # functions run in the same interpreter and may import only their bundles
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _clear_temporary_files(workspace: Workspace) -> None:
    shutil.rmtree(workspace.temporary_files, ignore_errors=True)


def _wait_until_healthy(process: "subprocess.Popen[bytes]", endpoint: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if _answers(endpoint + _HEALTH):
            return
        if process.poll() is not None:
            raise LocalError(f"the local cloud exited during start-up: see {log}")
        time.sleep(0.1)
    _end(process.pid)
    raise LocalError(f"the local cloud did not answer within {_START_SECONDS:.0f} s: see {log}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 (always an http address of a local cloud)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _end(pid: int) -> None:
    """Terminate the server and wait for its end; then kill the function processes, which share its process group."""
    deadline = time.monotonic() + _STOP_SECONDS
    try:
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() < deadline and _is_alive(pid):
            time.sleep(0.05)
        os.killpg(pid, signal.SIGKILL)
        _is_alive(pid)  # reaps the server if it is a child of this process
    except ProcessLookupError:
        return


def _is_alive(pid: int) -> bool:
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass  # an earlier command started the process, so it is no child of this process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _endpoint(port: int) -> str:
    return f"http://127.0.0.1:{port}"

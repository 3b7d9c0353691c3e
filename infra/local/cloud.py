"""The local AWS as a background process, bound to 127.0.0.1."""

import json
import os
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
_START_SECONDS = 30.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Cloud:
    """A local cloud that answers at `endpoint`; `pid` is None when someone else runs it."""

    endpoint: str
    pid: int | None = None


def start(workspace: Workspace, port: int) -> Cloud:
    """Starts the local AWS, or finds the one that this workspace already runs on that port."""
    running = find(workspace)
    if running:
        if running.endpoint != _endpoint(port):
            raise LocalError(f"the local cloud already runs at {running.endpoint}: `make down` stops it")
        return running
    if not PYTHON.exists():
        raise LocalError("the local AWS is not installed: run `make up`")
    if not _free(port):
        raise LocalError(f"port {port} is in use by another program: choose one with `make up PORT=…`")
    workspace.cloud_files.mkdir(parents=True, exist_ok=True)
    with workspace.cloud_log.open("wb") as log:
        process = subprocess.Popen(
            [str(PYTHON), "-m", "ministack"],
            env=_environment(workspace.cloud_files, port),
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
    """The local AWS of this workspace, if its process lives. A process id that now is another program's is not it."""
    try:
        noted = json.loads(workspace.process_file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return Cloud(noted["endpoint"], int(noted["pid"])) if "ministack" in _command(noted["pid"]) else None


def _command(pid: int) -> str:
    """The command line of a process, empty if there is none. Slim machines have /proc and no `ps`, others a `ps`."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout


def stop(workspace: Workspace) -> bool:
    """Stops the local AWS of this workspace with everything it started; False if none ran."""
    running = find(workspace)
    if running and running.pid:
        _end(running.pid)
    workspace.process_file.unlink(missing_ok=True)
    return running is not None


def attach(endpoint: str) -> Cloud:
    """A LocalStack that someone else runs; the embedded local AWS, which answers some of its addresses, is none."""
    if not _answers(f"{endpoint}/_localstack/info"):
        hint = "`make down` frees the port of the local AWS, `docker compose up -d` starts one"
        raise LocalError(f"no LocalStack answers at {endpoint}: {hint}")
    return Cloud(endpoint.rstrip("/"))


def functions_run_in(endpoint: str) -> str:
    """What that LocalStack's functions run in: containers if it is in one itself, else processes of this machine."""
    with urllib.request.urlopen(f"{endpoint}/_localstack/info", timeout=5) as answer:  # noqa: S310 (see `_answers`)
        return "container" if json.load(answer).get("is_docker") else "host"


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(files: Path, port: int) -> dict[str, str]:
    return {
        **isolated(),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",  # it would open a port of its own
        "TMPDIR": str(files),
        "STATE_DIR": str(files / "state"),
        "S3_DATA_DIR": str(files / "s3"),
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "INFO"),
        "PYTHONPATH": "",  # functions run in its interpreter: they may see their bundle and nothing of this repository
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _wait_until_healthy(process: "subprocess.Popen[bytes]", endpoint: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if _answers(f"{endpoint}/_ministack/health"):
            return
        if process.poll() is not None:
            raise LocalError(f"the local cloud ended at once: see {log}")
        time.sleep(0.1)
    _end(process.pid)
    raise LocalError(f"the local cloud did not answer within {_START_SECONDS:.0f} s: see {log}")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 (always an http address given by us)
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _end(pid: int) -> None:
    """The process leads its own group, so that the workers it started end with it."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(pid, sign)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline:
            if not _alive(pid):
                return
            time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass  # started by an earlier command: not ours to wait for
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _endpoint(port: int) -> str:
    return f"http://127.0.0.1:{port}"

"""The clients of `docs/examples`, built on code that is generated from the OpenAPI document."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from infra.config import ROOT

EXAMPLES = ROOT / "docs" / "examples"
DOCUMENT = ROOT / "functions" / "platform_api" / "generated" / "openapi.json"
PYTHON_PACKAGES = ROOT / ".local" / "contract"
NODE_PACKAGES = ROOT / ".local" / "openapi" / "node_modules"
TYPESCRIPT = ("--noEmit", "--strict", "--target", "es2023", "--module", "nodenext", "--allowImportingTsExtensions")
STEPS = [
    "target stocks=60.0000 bonds=30.0000 gold=10.0000",
    "COMPLETED BUY bonds 10.0000",
    "COMPLETED SELL stocks 10.0000",
    "trades BUY AAPL 10.00 BUY AAPL 10.00 BUY AAPL 10.00",
    "urn:trimtab:problem:invalid_request allocation",
]
"""The lines that every example prints."""


def run_python_example(folder: Path, address: str, token: str) -> list[str]:
    """Generate the Python package in the folder, run the example with that package, and return its lines."""
    settings = folder / "settings.yaml"
    settings.write_text("package_name_override: trimtab_client\npost_hooks: []\n")
    output = ("--output-path", folder / "trimtab_client", "--meta", "none", "--config", settings)
    packages = {"PYTHONPATH": f"{folder}{os.pathsep}{PYTHON_PACKAGES}"}
    _run(sys.executable, "-m", "openapi_python_client", "generate", "--path", DOCUMENT, *output, cwd=folder, **packages)
    return _run(sys.executable, EXAMPLES / "client.py", address, token, cwd=folder, **packages).splitlines()


def run_typescript_example(folder: Path, address: str, token: str) -> list[str]:
    """Generate the types in the folder, compile and run the example with these types, and return its lines."""
    tools = NODE_PACKAGES / ".bin"
    (folder / "node_modules").symlink_to(NODE_PACKAGES)
    (folder / "package.json").write_text('{"type": "module"}')
    shutil.copy(EXAMPLES / "client.ts", folder)
    _run(tools / "openapi-typescript", DOCUMENT, "-o", "trimtab.d.ts", "--default-non-nullable=false", cwd=folder)
    _run(tools / "tsc", *TYPESCRIPT, "--types", "node", "client.ts", cwd=folder)
    return _run("node", "client.ts", address, token, cwd=folder).splitlines()


@contextmanager
def serving_examples() -> Iterator[str]:
    """Serve the examples from an origin of their own, and yield its URL."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(EXAMPLES))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def run_browser_example(folder: Path, address: str, token: str, socket_address: str = "") -> list[str]:
    """Open the page in a headless Chromium, fill in and submit its form, and return the status and rows it shows."""
    (folder / "node_modules").symlink_to(NODE_PACKAGES)
    shutil.copy(Path(__file__).with_name("browser.mjs"), folder)
    with serving_examples() as origin:
        return _run(
            "node", "browser.mjs", f"{origin}/browser.html", address, token, socket_address, cwd=folder
        ).splitlines()


def _run(*command: object, cwd: Path, **variables: str) -> str:
    """Return the output of a command that must succeed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

"""A TypeScript client on types that openapi-typescript generates compiles and works: `client.ts`."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from werkzeug.serving import make_server

from infra.config import ROOT
from tests.contract.wsgi import TOKEN, application
from tests.support.system import in_process_system

PACKAGES = ROOT / ".local/openapi/node_modules"
STRICT = ("--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--allowImportingTsExtensions")


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


def run(*command: object, cwd: Path) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.proof
def test_the_client_compiles_and_creates_trades_rebalances_pages_and_gets_a_problem(
    address: str, tmp_path: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(Path(__file__).with_name("client.ts"), tmp_path)
    document = ROOT / "functions/platform_api/generated/openapi.json"
    tools = PACKAGES / ".bin"
    run(tools / "openapi-typescript", document, "-o", tmp_path / "trimtab.d.ts", cwd=tmp_path)
    run(tools / "tsc", *STRICT, "--types", "node", "client.ts", cwd=tmp_path)
    assert run("node", "client.ts", address, TOKEN, cwd=tmp_path).strip() == "done"

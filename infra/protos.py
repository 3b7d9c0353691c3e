"""Generates messages, service and client from each .proto: `python -m infra.protos` (or `make protos`).

A test holds what is in the repository equal to what this writes. The compiler and its plugins come from packages that
are pinned with the other tools of development.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROTOS = (Path("functions/betting_rpc/orders.proto"),)


def files() -> dict[Path, str]:
    """Every generated file, by its path below the repository."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        plugins = [
            f"--py_out={out}",
            "--py_opt=init_files=false",
            f"--connectrpc_out={out}",
            "--connectrpc_opt=io=sync",
        ]
        command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *plugins, *map(str, PROTOS)]
        path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
        subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PATH": path})
        return {path.relative_to(out): path.read_text() for path in sorted(out.rglob("*.py"))}


def main() -> None:
    """Writes them all."""
    for path, text in files().items():
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()

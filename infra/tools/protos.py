"""Generate messages, service and client from each .proto: `python -m infra.tools.protos` (or `make protos`).

A test compares the files in the repository with the output of this module. The compiler and its plugins are pinned
with the other development tools.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from infra.config import ROOT

PROTOS = (Path("functions/betting_rpc/orders.proto"),)
GENERATED = "generated"
"""The folder beside a .proto that holds its generated modules; they import each other relatively."""


def generated_modules() -> dict[Path, str]:
    """Return the text of each generated module by its path relative to the repository."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        _compile(out)
        modules = sorted(out.rglob("*.py"))
        return {_destination(module.relative_to(out)): module.read_text() for module in modules}


def _compile(out: Path) -> None:
    plugins = [f"--py_out={out}", "--py_opt=init_files=false", f"--connectrpc_out={out}", "--connectrpc_opt=io=sync"]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *plugins, *map(str, PROTOS)]
    search_path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PATH": search_path})


def _destination(module: Path) -> Path:
    return module.parent / GENERATED / module.name


def main() -> None:
    """Write every generated module."""
    for path, text in generated_modules().items():
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()

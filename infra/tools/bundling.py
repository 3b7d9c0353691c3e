"""Build the code of Lambda functions without Docker: uv installs layers, byte code is compiled for the target.

A bundle is a directory named by the digest of all inputs. Equal sources give equal digests, so the asset hashes of the
CDK are stable and an existing bundle is reused.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from infra.config import ROOT
from infra.settings import Target
from infra.tools import sdk_data

LAYERS = ("core", "dependencies")
"""Layers of every function. Single functions have further layers."""
CORE = ROOT / "layers" / "core" / "python"
_TRIMMING = Path(sdk_data.__file__)

_BUILD_VERSION = "2"  # increase after a change of this module, so that older bundles are not reused
_RETENTION_SECONDS = 24 * 3600  # of bundles that a newer build has replaced


@dataclass(frozen=True)
class Bundle:
    """A built directory and the digest of the inputs."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Bundler:
    """Builds layers and functions for a target, into a cache of bundles."""

    target: Target
    cache: Path = ROOT / ".local" / "bundles"

    def layer(self, name: str) -> Bundle:
        """Return the bundle of a layer, with all packages under `python/`."""

        def inputs() -> list[bytes]:
            return _contents(CORE) if name == "core" else [_requirements(name).read_bytes(), _TRIMMING.read_bytes()]

        return self._build(f"layer-{name}", inputs, lambda out: self._fill_layer(name, out / "python"))

    def function(self, name: str, *, inline_layers: Sequence[str] = ()) -> Bundle:
        """Return the bundle of a function: `functions/__init__.py`, `functions/<name>/`, and the inlined layers."""
        source = ROOT / "functions" / name
        layers = [self.layer(layer) for layer in inline_layers]

        def inputs() -> list[bytes]:
            return [*_contents(source), *(layer.digest.encode() for layer in layers)]

        def fill(out: Path) -> None:
            for layer in layers:
                shutil.copytree(layer.path / "python", out, dirs_exist_ok=True, copy_function=_link)
            own = out / "functions"
            own.mkdir()
            shutil.copy(ROOT / "functions" / "__init__.py", own)
            shutil.copytree(source, own / name, ignore=_COMPILED)
            self._compile(own, "/var/task/functions")  # the layers contain byte code already

        return self._build(f"function-{name}", inputs, fill)

    def _fill_layer(self, name: str, out: Path) -> None:
        if name == "core":
            shutil.copytree(CORE, out, ignore=_COMPILED)
        else:
            self._install(_requirements(name), out)
        if (out / "botocore").exists():
            sdk_data.trim(out)
        self._compile(out, "/opt/python")

    def _install(self, requirements: Path, out: Path) -> None:
        where = ["--python", sys.executable]
        if self.target.platform:
            version = ["--python-version", self.target.python_version]
            where = [*version, "--python-platform", self.target.platform, "--only-binary", ":all:"]
        command = [_uv(), "pip", "install", "--quiet", "--require-hashes", "-r", str(requirements)]
        subprocess.run([*command, *where, "--target", str(out)], check=True)
        shutil.rmtree(out / "bin", ignore_errors=True)
        (out / ".lock").unlink(missing_ok=True)

    def _build(self, name: str, inputs: Callable[[], list[bytes]], fill: Callable[[Path], None]) -> Bundle:
        digest = self._digest(name, inputs())
        path = self.cache / f"{name}-{digest[:20]}"
        if not path.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=self.cache))
            try:
                fill(draft)
                if self._digest(name, inputs()) != digest:
                    # The files were copied while they changed, so they do not match the digest.
                    raise RuntimeError(f"the sources of {name} changed during bundling; run the command again")
                draft.chmod(0o755)
                _move_to_cache(draft, path)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            self._prune(name, path)
        return Bundle(path, digest)

    def _digest(self, name: str, inputs: list[bytes]) -> str:
        digest = hashlib.sha256()
        for part in (self._fingerprint, name.encode(), *inputs):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.hexdigest()

    def _compile(self, directory: Path, mount: str) -> None:
        if self._interpreter:
            compile_byte_code(self._interpreter, directory, mount)

    def _prune(self, name: str, current: Path) -> None:
        oldest = time.time() - _RETENTION_SECONDS
        for path in self.cache.glob(f"{name}-*"):
            if path != current and path.stat().st_mtime < oldest:
                shutil.rmtree(path, ignore_errors=True)

    @cached_property
    def _interpreter(self) -> str | None:
        found = find_python(self.target.python_version)
        if not found:
            message = (
                f"Python {self.target.python_version} was not found: bundles contain no byte code, "
                "and cold starts take longer"
            )
            warnings.warn(message, stacklevel=2)
        return found

    @cached_property
    def _fingerprint(self) -> bytes:
        where = self.target.platform or sysconfig.get_platform()
        return f"{_BUILD_VERSION} {self.target.python_version} {where} {bool(self._interpreter)}".encode()


_COMPILED = shutil.ignore_patterns("__pycache__", "*.pyc")


def compile_byte_code(python: str, directory: Path, mount: str) -> None:
    """Compile byte code with unchecked hashes, because the files of a Lambda function have no real timestamps.

    Python would compare the timestamps of source and byte code, and compile again at each cold start.
    """
    mode = ["--invalidation-mode", "unchecked-hash", "-s", str(directory), "-p", mount]
    subprocess.run([python, "-m", "compileall", "-q", "-j", "2", *mode, str(directory)], check=True)


def find_python(version: str) -> str | None:
    """Return the path of a Python of this version (`3.13`), or None. Python ignores byte code of other versions."""
    candidates = [sys.executable, shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    if os.access(pyenv, os.R_OK | os.X_OK):  # the variable may name the directory of another user
        candidates += [str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))]
    check = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for candidate in candidates:
        if candidate and subprocess.run([candidate, "-c", check], check=False, capture_output=True).returncode == 0:
            return candidate
    return None


def _requirements(layer: str) -> Path:
    return ROOT / "layers" / layer / "requirements.txt"


def _uv() -> str:
    installed = Path(sys.prefix) / "bin" / "uv"
    return str(installed) if installed.exists() else "uv"


def _sources(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
            yield path


def _contents(directory: Path) -> list[bytes]:
    return [part for path in _sources(directory) for part in (str(path.relative_to(ROOT)).encode(), path.read_bytes())]


def _link(source: str, destination: str) -> None:
    """Hard-link a file of an inlined layer to save space; copy the file if the file system does not allow links.

    A file that two layers contain is linked once: the requirements of the layers pin the same versions.
    """
    if os.path.exists(destination):
        return
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)


def _move_to_cache(draft: Path, path: Path) -> None:
    """Rename a finished draft to its place in the cache; keep the bundle if a concurrent synthesis was first."""
    try:
        draft.rename(path)
    except OSError:
        if not path.exists():
            raise

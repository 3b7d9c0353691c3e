"""Every command of the README and the docs succeeds on the deployed system.

`make test` runs the README and the tutorial; `make docs-check` sets TRIMTAB_ALL_PAGES and runs every page.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from infra.local import sample_data
from infra.settings import FileBars
from tests.docs.pages import ROOT, all_pages, blocks, name_of
from tests.e2e.conftest import System
from trimtab.kernel.clock import utc_now

ALL = bool(os.environ.get("TRIMTAB_ALL_PAGES"))
FAST = (ROOT / "README.md", ROOT / "docs" / "tutorial.md")
PAGES = [page for page in (all_pages() if ALL else FAST) if any(block.language == "sh" for block in blocks(page))]
PRELUDE = """
set -euo pipefail
curl() { command curl --fail-with-body --show-error --max-time 60 "$@" && echo; }
make() {
    case "$1" in
        up|down|clean|test|synth) echo "make $1: run by the pipeline itself" ;;
        *) command make "$@" ;;
    esac
}
sleep() { command sleep $((3 * $1)); }
"""
"""Makes a failing request fail the script, and leaves out the commands that install, deploy or stop the stack.

Waits longer than the pages say, because other tests share the processor.
"""

EVERY_PAGE_STARTS_WITH = 'eval "$(make -s env)"\n'


@pytest.fixture(scope="module")
def stack_with_sample(system: System) -> System:
    """Load the sample of `make up`, and save the stack so that the commands of `make` find it."""
    if system.cloud_name != "local":
        pytest.skip("the commands of the docs are written for the embedded local AWS")
    now, stack = utc_now(), system.stack
    sample_data.load(system.aws("dynamodb"), stack.tables["market"], now)
    name, text = sample_data.newest_file(now)
    system.aws("s3").put_object(Bucket=stack.buckets["bars"], Key=f"{FileBars().prefix}/{name}", Body=text.encode())
    stack.save(system.workspace)
    return system


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_of_a_page_succeed(page: Path, stack_with_sample: System) -> None:
    commands = "".join(block.text for block in blocks(page) if block.language == "sh" and block.reason is None)
    binaries = [ROOT / ".local" / "awscli" / "bin", ROOT / ".venv" / "bin", *os.environ["PATH"].split(os.pathsep)]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join(map(str, binaries)),
        "TRIMTAB_WORKSPACE": str(stack_with_sample.workspace.directory),
    }
    script = PRELUDE + EVERY_PAGE_STARTS_WITH + commands
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    if page == ROOT / "docs" / "tutorial.md":
        assert re.search(r'"trigger": ?"price"', ran.stdout), "the price move was not traded back"

"""The linters of OpenAPI documents have nothing to say about the document."""

import os
import subprocess

import pytest

from infra.config import ROOT

DOCUMENT = ROOT / "functions/platform_api/generated/openapi.json"
RULES = ROOT / "infra/toolchain/openapi"
BIN = ROOT / ".local/openapi/node_modules/.bin"
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}


@pytest.mark.assurance("API document: the rules of Redocly and Spectral", environment="PYTHONPATH=.local/contract")
@pytest.mark.proof
@pytest.mark.parametrize(
    "command",
    [
        [BIN / "redocly", "lint", DOCUMENT, "--config", RULES / "redocly.yaml", "--max-problems", "1000"],
        [BIN / "spectral", "lint", DOCUMENT, "--ruleset", RULES / "spectral.yaml", "--fail-severity", "warn"],
    ],
    ids=["redocly", "spectral"],
)
def test_the_linter_has_nothing_to_say(command: list[object]) -> None:
    linted = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env={**os.environ, **QUIET}
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "warning" not in linted.stdout.lower()

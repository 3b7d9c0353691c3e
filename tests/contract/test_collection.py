"""The generated collection runs in Postman's own runner: every request of the collection reaches its route."""

import json
import subprocess
from pathlib import Path

import pytest

from infra.config import ROOT
from infra.tools.descriptions import POSTMAN
from tests.contract.wsgi import TOKEN
from tests.support.example_clients import NODE_PACKAGES

ID = "265076e4-f1a0-5d1f-99a9-59a8b0e03f01"
VALUES = {"symbol": "AAPL", "effective_on": "2026-01-31", "user_id": "1", "name": "locked"}
"""The values of variables that are not ids of a resource."""

MALFORMED = {
    "no_route",
    "method_not_allowed",
    "missing_token",
    "invalid_token",
    "unsupported_media_type",
    "invalid_json",
}
"""The problems of a request that does not reach its route."""


@pytest.mark.assurance("API: the requests of the Postman collection")
@pytest.mark.proof
def test_every_request_of_the_collection_reaches_its_route(address: str, tmp_path: Path) -> None:
    collection = json.loads((ROOT / POSTMAN).read_text())
    wanted = sum(len(folder["item"]) for folder in collection["item"])
    variables = {each["key"]: VALUES.get(each["key"], ID) for each in collection["variable"]}
    variables |= {"base_url": address, "token": TOKEN}
    given = [part for name, value in variables.items() for part in ("--env-var", f"{name}={value}")]
    report = tmp_path / "report.json"
    command = [NODE_PACKAGES / ".bin" / "newman", "run", ROOT / POSTMAN, *given, "--reporters", "json"]
    command += ["--reporter-json-export", report]
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    executions = json.loads(report.read_text())["run"]["executions"]
    assert len(executions) == wanted
    for execution in executions:
        code, text = execution["response"]["code"], bytes(execution["response"]["stream"]["data"]).decode()
        assert code < 500, (execution["item"]["name"], text)
        if code >= 400:
            assert json.loads(text)["type"].rpartition(":")[2] not in MALFORMED, (execution["item"]["name"], text)

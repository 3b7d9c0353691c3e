"""The handler of a queue worker: validation, partial batch responses, and a lean import."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.system import sqs_record
from trimtab.contracts.messages import ExecutionRequested
from trimtab.runtime.sqs.worker import SQSRecord, batch_worker, worker

ROOT = Path(__file__).parents[3]
CONTEXT: Any = SimpleNamespace(
    function_name="f", function_version="1", invoked_function_arn="arn", aws_request_id="r", memory_limit_in_mb=128
)
WORKERS = sorted(
    path.parent.name for path in ROOT.glob("functions/*_on_*/handler.py") if "sqs.worker" in path.read_text()
)


def event(*bodies: str) -> dict[str, Any]:
    """A batch with one record for each body; the message ids are m0, m1, …"""
    return {"Records": [sqs_record(body, message_id=f"m{number}") for number, body in enumerate(bodies)]}


def execution(rebalance_id: str) -> str:
    return ExecutionRequested(tenant_id="demo", portfolio_id="p", rebalance_id=rebalance_id).to_body()


def failures(response: dict[str, Any]) -> list[str]:
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def test_each_record_is_handled_and_only_those_that_raise_are_returned() -> None:
    handled: list[str] = []

    def handle(message: ExecutionRequested, record: SQSRecord) -> None:
        handled.append(record.message_id)
        if message.rebalance_id == "bad":
            raise RuntimeError

    response = worker(ExecutionRequested, handle)(event(execution("a"), execution("bad"), execution("b")), CONTEXT)
    assert handled == ["m0", "m1", "m2"]
    assert failures(response) == ["m1"]


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", json.dumps({"type": "execution.requested"}), "[" * 100])
def test_a_body_that_is_no_message_is_returned_without_being_handled(body: str) -> None:
    def handle(_: ExecutionRequested, __: SQSRecord) -> None:
        pytest.fail("handled")

    assert failures(worker(ExecutionRequested, handle)(event(body), CONTEXT)) == ["m0"]


def test_a_batch_of_which_every_record_fails_names_each() -> None:
    assert failures(worker(ExecutionRequested, lambda *_: None)(event("", ""), CONTEXT)) == ["m0", "m1"]


def test_a_batch_is_handled_at_once_and_unreadable_records_are_returned_alone() -> None:
    batches: list[list[str]] = []
    handler = batch_worker(
        ExecutionRequested, lambda messages: batches.append([message.rebalance_id for message in messages])
    )
    assert failures(handler(event(execution("a"), "", execution("b")), CONTEXT)) == ["m1"]
    assert batches == [["a", "b"]]


def test_a_batch_whose_handling_raises_is_returned_whole() -> None:
    def handle(_: list[ExecutionRequested]) -> None:
        raise RuntimeError

    assert failures(batch_worker(ExecutionRequested, handle)(event(execution("a"), ""), CONTEXT)) == ["m0", "m1"]


def test_no_worker_imports_the_models_of_event_sources() -> None:
    code = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(f"functions.{name}.handler")
    if any(module.startswith("aws_lambda_powertools.utilities.parser") for module in sys.modules):
        sys.exit(f"{name} imports the models")
import pydantic
from pydantic import main
assert pydantic.BaseModel is main.BaseModel
"""
    done = subprocess.run([sys.executable, "-c", code, *WORKERS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

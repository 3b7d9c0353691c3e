"""A record of the AWS calls that each function makes while the integration tests run.

moto allows all calls. `tests/infra/test_permissions.py` compares the record with the synthesised roles. A session that
passes all tests of `tests/integration` writes the record; any other session keeps the earlier record.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from functools import wraps
from types import FrameType
from typing import Any, NamedTuple

import pytest
from botocore.client import ClientCreator

from infra.config import ROOT

RECORD = ROOT / ".local" / "aws-calls.json"
_CODE = (ROOT / "functions", ROOT / "layers" / "core" / "python")
_TESTS = str(ROOT / "tests")
_TRANSACTION_ACTIONS = {
    "Put": "PutItem",
    "Delete": "DeleteItem",
    "Update": "UpdateItem",
    "ConditionCheck": "ConditionCheckItem",
}


class Call(NamedTuple):
    """A function, an IAM action, and the name of the table, index or queue; "" for a resource of another kind."""

    function: str
    action: str
    resource: str = ""


_acting: ContextVar[str] = ContextVar("acting", default="")
"""The function that handles an event."""


class CallRecorder:
    """A pytest plugin that records calls. The workers of a parallel run send their calls to the controller."""

    def __init__(self) -> None:
        self.calls: set[Call] = set()
        self._has_lost_worker = False

    def pytest_collection_finish(self) -> None:
        """Wrap the handlers that the collected tests have imported, and the methods of all AWS clients."""
        for name, module in list(sys.modules.items()):
            if name.startswith("functions.") and name.endswith(".handler"):
                module.handler = _named(name.split(".")[1], module.handler)  # type: ignore[attr-defined]
        self._record_methods()
        _keep_context_in_threads()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over the calls of a worker that has ended; a crashed worker sends none."""
        sent = getattr(node, "workeroutput", {}).get("aws_calls")
        self._has_lost_worker |= sent is None
        self.calls |= {Call(*call) for call in sent or ()}

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Send the calls to the controller, or write the record."""
        listed = [list(call) for call in sorted(self.calls)]
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["aws_calls"] = listed
        elif exitstatus == pytest.ExitCode.OK and _runs_all(session.config) and not self._has_lost_worker:
            RECORD.parent.mkdir(exist_ok=True)
            RECORD.write_text(json.dumps({"code": digest_of_code(), "calls": listed}, indent=0))

    def _record_methods(self) -> None:
        """Record in the methods of clients: tests replace what lies below."""
        make = ClientCreator._create_api_method  # type: ignore[attr-defined]

        def make_recording(creator: Any, name: str, operation: str, model: Any) -> Any:
            method = make(creator, name, operation, model)

            @wraps(method)
            def call(client: Any, *positional: Any, **arguments: Any) -> Any:
                if (acting := _acting.get()) and _is_called_by_function():
                    self.calls |= {Call(acting, *action) for action in _actions(operation, arguments)}
                return method(client, *positional, **arguments)

            return call

        ClientCreator._create_api_method = make_recording  # type: ignore[attr-defined]


def recorded_calls() -> set[Call] | None:
    """Return the recorded calls, or None if the code of the functions has changed since the last record."""
    try:
        record = json.loads(RECORD.read_text())
    except FileNotFoundError:
        return None
    if record["code"] != digest_of_code():
        return None
    return {Call(*call) for call in record["calls"]}


def digest_of_code() -> str:
    """Return a digest of the code of all functions."""
    files = sorted(file for place in _CODE for file in place.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _runs_all(config: pytest.Config) -> bool:
    """Return whether the session runs all integration tests; marked ones repeat what the others do."""
    is_whole = any(argument.rstrip("/") in {"tests", "tests/integration"} for argument in config.args)
    markers = config.option.markexpr in {"", "not proof", "not proof and not volume"}
    return is_whole and markers and not config.option.keyword and not config.option.deselect


def _named(name: str, handler: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the handler, wrapped to note the name of the running function."""

    @wraps(handler)
    def handle(event: Any, context: Any) -> Any:
        noted = _acting.set(name)
        try:
            return handler(event, context)
        finally:
            _acting.reset(noted)

    return handle


def _keep_context_in_threads() -> None:
    """Let the threads of a function record in the name of the function."""
    submit = ThreadPoolExecutor.submit

    def submit_in_context(pool: Any, work: Any, /, *arguments: Any, **named: Any) -> Any:
        return submit(pool, copy_context().run, work, *arguments, **named)

    ThreadPoolExecutor.submit = submit_in_context  # type: ignore[method-assign]


def _is_called_by_function() -> bool:
    """Return whether no test called in between: tests act in the middle of functions, too."""
    frame: FrameType | None = sys._getframe(2)
    while frame and frame.f_code.co_filename != __file__:
        if frame.f_code.co_filename.startswith(_TESTS):
            return False
        frame = frame.f_back
    return True


def _actions(operation: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the IAM actions that a call needs, each with the table, index or queue."""
    if operation.startswith("SendMessage"):
        yield "sqs:SendMessage", arguments["QueueUrl"].rpartition("/")[2]
    elif operation == "TransactWriteItems":
        for item in arguments["TransactItems"]:
            for kind, action in item.items():
                yield f"dynamodb:{_TRANSACTION_ACTIONS[kind]}", action["TableName"]
    elif operation in {"BatchGetItem", "BatchWriteItem"}:
        for table in arguments["RequestItems"]:
            yield f"dynamodb:{operation}", table
    elif operation == "GetQueueAttributes":
        yield "sqs:GetQueueAttributes", arguments["QueueUrl"].rpartition("/")[2]
    elif "TableName" in arguments:
        index = f"/index/{arguments['IndexName']}" if "IndexName" in arguments else ""
        yield f"dynamodb:{operation}", arguments["TableName"] + index
    else:
        yield _OTHER_ACTIONS.get(operation, operation), ""


_OTHER_ACTIONS = {
    "GetMetricData": "cloudwatch:GetMetricData",
    "GetObject": "s3:GetObject",
    "GetParameter": "ssm:GetParameter",
    "GetSecretValue": "secretsmanager:GetSecretValue",
    "DeleteConnection": "execute-api:ManageConnections",
    "PostToConnection": "execute-api:ManageConnections",
    "Publish": "sns:Publish",
    "PutEvents": "events:PutEvents",
    "SendRawEmail": "ses:SendRawEmail",
}

"""Run the local AWS (ministack) with its state on disk. Executed by the interpreter of `.local/aws`; never imported.

ministack without this program writes its state only when it is stopped, and loses the records of DynamoDB streams, so
that event source mappings skip new records after a restart. This program saves snapshots of all services:

* every `SAVE_SECONDS` in which a request arrived, and when the server is stopped;
* in a child process, forked between two DynamoDB operations, so that requests do not wait and transactions are whole;
* to one file that is replaced atomically. A crash (`kill -9`, a reboot) loses the changes since the last snapshot,
  about `SAVE_SECONDS`; `make down` loses nothing.

Functions behind REST APIs get the events of AWS: paths as sent, percent-encoded, and no `version`. ministack alone
decodes paths, so that no test would see a function that forgets to decode them.

With `AUTH=true` in the environment, ministack enforces IAM policies: each function acts with its own role. Requests are
authorised as on AWS, over TLS.

Binary values (layers, code) are stored once, in files named by their SHA-256. Logs of functions are not stored.
"""

import asyncio
import copy
import hashlib
import json
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from ministack import app
from ministack.core import iam_actions, persistence
from ministack.services import apigateway_v1, cloudwatch_logs, dynamodb, lambda_svc

SAVE_SECONDS = 5.0
_CHILD_SECONDS = 20.0
_STATE = Path(persistence.STATE_DIR)
_SNAPSHOT = _STATE / "snapshot.json"
_BLOBS = _STATE / "blobs"
_STREAMS = "unread_stream_records"
_log = logging.getLogger("trimtab.snapshot")
_serve = app.app
_pin_origin = app.pin_request_origin
_extract_action = iam_actions.extract_iam_action
_extract_resource = iam_actions.extract_resource_arn
_call_with_version = apigateway_v1._call_lambda_raw
_requests = 0


async def _counted(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """Serve a request, and count every request but health checks."""
    global _requests  # noqa: PLW0603 - one server a process
    _requests += scope["type"] == "http" and not scope["path"].startswith("/_ministack/")
    serving: Awaitable[None] = _serve(_as_sent(scope), receive, send)
    await serving


def _as_sent(scope: dict[str, Any]) -> dict[str, Any]:
    """Return the scope of a request to a REST API with the path as it was sent, any other scope unchanged."""
    host = dict(scope.get("headers", ())).get(b"host", b"")
    if scope["type"] == "http" and ("/_user_request_/" in scope["path"] or b".execute-api." in host):
        return {**scope, "path": scope["raw_path"].decode("latin-1")}
    return scope


async def _call_lambda(function_ref: Any, event: dict[str, Any], **options: Any) -> Any:
    """Invoke a function with the event of a REST API; only events of HTTP APIs have a version."""
    event.pop("version", None)
    return await _call_with_version(function_ref, event, **options)


def _pin_local_origin(source_ip: str, _: bool) -> None:
    """Let a request count as sent over TLS: policies demand TLS, and loopback traffic reaches no network."""
    _pin_origin(source_ip, True)


def _action_of_aws(*request: Any) -> str | None:
    """Return the IAM action of a request; AWS authorises `SendMessageBatch` as `SendMessage`."""
    action = _extract_action(*request)
    return "sqs:SendMessage" if action == "sqs:SendMessageBatch" else action


def _resource_of_aws(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
    """Return the ARN of the resource of a request; AWS authorises the sending of mail by the identity of the sender."""
    sender = parse_qs(body.decode(errors="replace")).get("Source") if service == "ses" else None
    if sender:
        *_, region, account_id = rest
        return f"arn:aws:ses:{region}:{account_id}:identity/{sender[0]}"
    return _extract_resource(service, method, path, headers, body, *rest)


# Save ----------------------------------------------------------------------------------------------------------------


def _save_now(_: object = None) -> None:
    """Save a snapshot and return when the file is written."""
    child = _fork()
    deadline = time.monotonic() + _CHILD_SECONDS
    while not _has_ended(child, deadline):
        time.sleep(0.01)


async def _save_periodically() -> None:
    saved = _requests
    while True:
        await asyncio.sleep(SAVE_SECONDS)
        if _requests != saved:
            saved = _requests
            child, deadline = _fork(), time.monotonic() + _CHILD_SECONDS
            while not _has_ended(child, deadline):
                await asyncio.sleep(0.05)


def _fork() -> int:
    child = os.fork()
    if not child:
        try:
            _write_snapshot()
        finally:
            os._exit(0)
    return child


def _has_ended(child: int, deadline: float) -> bool:
    """Return whether the child has ended. Kill a child at its deadline: a thread of the parent may own a lock."""
    if time.monotonic() > deadline:
        _log.error("the snapshot took longer than %.0f s and is given up", _CHILD_SECONDS)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return True
    return os.waitpid(child, os.WNOHANG)[0] == child


def _write_snapshot() -> None:
    """Replace the snapshot file unless nothing changed. Runs in the forked child, so that values may be modified."""
    copy.deepcopy = _return_same  # type: ignore[assignment] # the memory of the child is a copy already
    lambda_svc._externalize_code_zip = lambda *_: None
    lambda_svc._prune_orphan_code_blobs = lambda *_: None
    _STATE.mkdir(parents=True, exist_ok=True)
    _BLOBS.mkdir(exist_ok=True)
    state = {name: get_state() for name, get_state in app._build_persistence_save_dict().items()}
    state[_STREAMS] = _unread_stream_records()
    for group in cloudwatch_logs._log_groups._data.values():
        group["streams"] = {}
    cloudwatch_logs._log_records._data.clear()
    text = json.dumps(state, default=_encode).encode()
    if not _SNAPSHOT.exists() or _SNAPSHOT.read_bytes() != text:
        _replace(_SNAPSHOT, text)


def _return_same(value: object, _: object = None) -> object:
    return value


def _encode(value: object) -> object:
    if isinstance(value, bytes | bytearray):
        digest = hashlib.sha256(value).hexdigest()
        if not (_BLOBS / digest).exists():
            _replace(_BLOBS / digest, bytes(value))
        return {"__blob__": digest}
    return persistence._json_default(value)


def _replace(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _unread_stream_records() -> list[tuple[Any, int, list[dict[str, Any]]]]:
    """Return for each table stream: key, position of the first unread record, and unread records."""
    unread = []
    for key, records in dynamodb._stream_records._data.items():
        arn = dynamodb._tables._data.get(key, {}).get("LatestStreamArn")
        trimmed = dynamodb._stream_trimmed._data.get(key, 0)
        end = trimmed + len(records)
        readers = [name for name, mapping in lambda_svc._esms._data.items() if mapping.get("EventSourceArn") == arn]
        first = min((lambda_svc._dynamodb_stream_positions._data.get(name, trimmed) for name in readers), default=end)
        unread.append((key, max(first, trimmed), records[max(first, trimmed) - trimmed :]))
    return unread


# Load ----------------------------------------------------------------------------------------------------------------


def _load() -> None:
    """Restore the snapshot, then save periodically. Called on the event loop, before the port is opened."""
    if _SNAPSHOT.exists():
        used: set[str] = set()
        state = json.loads(_SNAPSHOT.read_bytes(), object_hook=lambda value: _decode(value, used))
        for key, first, records in state.pop(_STREAMS):
            dynamodb._stream_records._data[tuple(key)] = records
            dynamodb._stream_trimmed._data[tuple(key)] = first
        for name, module in app._state_map.items():
            if state.get(name):
                app._get_module(module).load_persisted_state(state[name])
        for blob in _BLOBS.iterdir():
            if blob.name not in used:
                blob.unlink()
    _saver.append(asyncio.get_running_loop().create_task(_save_periodically()))


def _decode(value: dict[str, Any], used: set[str]) -> Any:
    if "__blob__" in value:
        used.add(value["__blob__"])
        return (_BLOBS / value["__blob__"]).read_bytes()
    return persistence._json_object_hook(value)


_saver: list["asyncio.Task[None]"] = []  # the event loop itself keeps no reference to its tasks

app.app = _counted
apigateway_v1._call_lambda_raw = _call_lambda
app.pin_request_origin = _pin_local_origin
iam_actions.extract_iam_action = _action_of_aws
iam_actions.extract_resource_arn = _resource_of_aws
app.PERSIST_STATE = True
app.save_all = _save_now
app._load_persisted_state = _load

if __name__ == "__main__":
    app.main()

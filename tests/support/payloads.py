"""A payload of `events/` through the real handler of the function whose folder it lies in."""

import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.system import LambdaContext, payload


def now() -> datetime:
    """A minute after the time that the payloads name."""
    return datetime(2026, 11, 21, 9, 31, tzinfo=UTC)


def run(path: str) -> Any:
    """The handler's answer to the payload."""
    handler = importlib.import_module(f"functions.{Path(path).parent}.handler").handler
    return handler(payload(path), LambdaContext())


def http(path: str, status: int) -> Any:
    """The body of the HTTP answer to the payload."""
    answer = run(path)
    assert answer["statusCode"] == status, answer["body"]
    if status == 204:
        return answer["body"]
    return json.loads(answer["body"]) if not path.endswith("docs.json") else answer["body"]

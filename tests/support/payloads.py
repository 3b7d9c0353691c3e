"""Run a payload of `events/` through the real handler of the function that its folder is named after."""

import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.system import LambdaContext, payload


def now() -> datetime:
    """Return an instant one minute after the time in the payloads."""
    return datetime(2026, 11, 21, 9, 31, tzinfo=UTC)


def run(path: str) -> Any:
    """Return the handler's answer to a payload."""
    handler = importlib.import_module(f"functions.{Path(path).parent}.handler").handler
    return handler(payload(path), LambdaContext())


def http(path: str, status: int) -> Any:
    """Return the body of the HTTP answer to a payload, after checking its status."""
    answer = run(path)
    assert answer["statusCode"] == status, answer["body"]
    if status == 204:
        return answer["body"]
    is_page = path in {f"platform_api/{name}.json" for name in ("docs", "read_problem", "read_operations")}
    return answer["body"] if is_page else json.loads(answer["body"])

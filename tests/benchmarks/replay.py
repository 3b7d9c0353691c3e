"""Repeat a recorded invocation: `python replay.py RECORDING TIMES`, with the bundles of the function on the path.

The process needs the packages of the function only: the answers of AWS come from the recording, in the order of each
operation.
"""

import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.endpoint import Endpoint


class _Context:
    """The context of an invocation, with the members that Powertools reads."""

    function_name = "function"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:function"
    aws_request_id = "11111111-2222-3333-4444-555555555555"

    def get_remaining_time_in_millis(self) -> int:
        """Return enough time for any invocation."""
        return 30_000


class _Raw:
    """The content of an HTTP answer, streamed like urllib3 does."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        """Return the whole content."""
        yield self._content


def main(recording: dict[str, Any], times: int) -> None:
    """Invoke the function `times` times."""
    handler = import_module(f"functions.{recording['function']}.handler").handler
    left: dict[str, list[Any]] = {}

    def send(_: Any, request: Any) -> AWSResponse:
        target = request.headers.get("X-Amz-Target", b"").decode()
        status, headers, content = left[target.rpartition(".")[2]].pop(0)
        return AWSResponse(request.url, status, HeadersDict(headers), _Raw(content.encode()))  # type: ignore[arg-type]

    Endpoint._send = send  # type: ignore[attr-defined]
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - log lines cost what they cost, but need not be seen
    for _ in range(times):
        left.clear()
        for operation, *answer in recording["answers"]:
            left.setdefault(operation, []).append(answer)
        handler(recording["event"], _Context())
        assert not any(left.values()), left


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), int(sys.argv[2]))

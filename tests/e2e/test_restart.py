"""Stored data, the API's address, tokens and event sources survive a stop and a crash of the local AWS."""

import json
import os
import signal
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from infra.local import cloud, demo
from tests.e2e import listening
from tests.e2e.conftest import System

SAVE_SECONDS = 30.0
REPORT = {"user_id": "1", "new_allocation": {"stocks": 80, "bonds": 10, "gold": 10}}


def restart(system: System) -> None:
    """Start the local AWS again on the same port."""
    cloud.start(system.workspace, urlsplit(system.stack.endpoint_url).port or 0)
    client = system.client(tenant="restart")
    demo.poll(lambda: client.get("/portfolios").status, lambda status: status == 200, "the API does not answer", 60)


def crash(system: System) -> None:
    """Kill the local AWS and its workers without a warning, as a reboot does."""
    running = cloud.find(system.workspace)
    assert running is not None
    assert running.pid is not None
    os.killpg(running.pid, signal.SIGKILL)
    os.waitpid(running.pid, 0)


def wait_for_snapshot(system: System) -> None:
    """Return after a snapshot, begun after the call."""
    snapshot = system.workspace.cloud_files / "state" / "snapshot.json"
    for _ in range(2):  # the first snapshot may have begun before the call
        before = snapshot.stat().st_mtime_ns
        demo.expect(system.client(tenant="restart").post("/portfolio", {"user_id": str(before)}), 201)
        demo.poll(partial(_is_newer, snapshot, before), bool, "the snapshot was not replaced", SAVE_SECONDS)


def _is_newer(path: Path, before: int) -> bool:
    return path.stat().st_mtime_ns > before


def test_a_restarted_local_aws_goes_on_where_it_was_stopped(system: System) -> None:
    client = system.client(tenant="restart")
    first = demo.run(client)

    cloud.stop(system.workspace)
    restart(system)

    assert demo.run(client) == first
    message = {"schema_version": 1, "type": "rebalance.requested", "tenant_id": "restart", "request_id": "r", **REPORT}
    queue = system.stack.queues["rebalance-requests"]
    decided = {"detail-type": ["rebalance.completed"], "detail": {"data": {"portfolio_id": [first["portfolio_id"]]}}}
    with listening.bus(system, decided) as events:
        system.aws("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(message))
        event = json.loads(listening.received(system, events))["detail"]
    path = f"/portfolios/{first['portfolio_id']}/rebalances"
    both = demo.poll(
        lambda: client.get(path).json["items"],
        lambda items: len(items) == 2 and items[0]["status"] not in demo.PENDING,
        "the worker did not run",
        30,
    )
    assert event["data"]["rebalance_id"] == both[0]["rebalance_id"]

    wait_for_snapshot(system)
    crash(system)
    restart(system)

    assert demo.expect(client.get(path), 200)["items"] == both

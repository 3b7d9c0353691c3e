"""The operator's command line on the deployed system: dead letters are listed, redriven, processed and deleted."""

import json
import os
import subprocess
import sys
from typing import Any

from infra.local import demo
from tests.e2e.conftest import System

PATIENCE_SECONDS = 400
"""Longer than five deliveries take on a busy machine."""


def trimtab(system: System, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of the operator on the deployed system."""
    system.stack.save(system.workspace)
    environment = {**os.environ, "TRIMTAB_WORKSPACE": str(system.workspace.directory)}
    command = [sys.executable, "-m", "infra.operator", "--local", "--as-tenant", "redriven", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def letters(system: System, tenant_id: str) -> list[Any]:
    """Return the dead letters of a tenant as the command lists them."""
    listed = trimtab(system, "dead-letters", "list", "--tenant", tenant_id, "--json")
    assert listed.returncode in {0, 1}, listed.stderr
    rows: list[Any] = json.loads(listed.stdout)
    assert listed.returncode == bool(rows)
    return rows


def test_dead_letters_are_listed_with_their_reason_redriven_and_processed_or_deleted(system: System) -> None:
    client = system.client(tenant="redriven")
    portfolio_id = client.post("/portfolio", demo.PORTFOLIO).json["portfolio_id"]
    report = {"schema_version": 1, "type": "rebalance.requested", "tenant_id": "redriven", **demo.REPORT}
    dead = system.stack.queues["rebalance-requests-dead"]  # as if five deliveries had failed
    good = json.dumps({**report, "request_id": "r1"})
    poison = json.dumps({**report, "request_id": "r2", "tenant_id": "redriven-poison", "schema_version": 9})
    system.aws("sqs").send_message(QueueUrl=dead, MessageBody=good, MessageGroupId="redriven")
    system.aws("sqs").send_message(QueueUrl=system.stack.queues["rebalance-requests"], MessageBody=poison)

    (letter,) = letters(system, "redriven")
    assert (letter["queue"], letter["kind"]) == ("rebalance-requests", "rebalance.requested")
    dry = trimtab(system, "dead-letters", "redrive", "--tenant", "redriven")
    assert "1 would be sent; add --execute to do it" in dry.stdout, dry.stderr
    assert client.get(f"/portfolios/{portfolio_id}/rebalances").json["items"] == []

    done = trimtab(system, "dead-letters", "redrive", "--tenant", "redriven", "--execute")
    assert "1 redriven, 0 failed" in done.stdout, done.stderr
    items = demo.poll(
        lambda: client.get(f"/portfolios/{portfolio_id}/rebalances").json["items"],
        lambda found: bool(found) and found[0]["status"] not in demo.PENDING,
        "the redriven message had no effect",
        PATIENCE_SECONDS,
    )
    assert [item["status"] for item in items] == ["COMPLETED"]
    assert letters(system, "redriven") == []

    (poisonous,) = demo.poll(
        lambda: letters(system, "redriven-poison"), bool, "the poison was not dead-lettered", PATIENCE_SECONDS
    )
    if system.cloud_name == "local":
        assert "wrong fields: schema_version" in poisonous["reason"]
    deleted = trimtab(
        system,
        *("dead-letters", "delete", "--queue", "rebalance-requests", "--tenant", "redriven-poison", "--execute"),
    )
    assert "1 deleted, 0 failed" in deleted.stdout, deleted.stderr


def test_the_lists_of_a_healthy_tenant_are_empty(system: System) -> None:
    for command in ("stale", "attention"):
        listed = trimtab(system, command, "list", "--json")
        assert (listed.returncode, json.loads(listed.stdout)) == (0, []), listed.stderr
    assert trimtab(system, "circuits").returncode == 0
    assert trimtab(system, "pending", "deliveries").stdout == "no webhooks\n"

"""Events reach a WebSocket client of the deployed system, and nobody else's client."""

import json
import os
import uuid
from typing import Any

import pytest
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from infra.local import demo
from tests.e2e.conftest import System

pytestmark = pytest.mark.skipif(
    os.environ.get("TRIMTAB_CLOUD") == "localstack", reason="the community edition has no WebSocket APIs"
)
TIMEOUT_SECONDS = 180


def test_a_rebalance_is_pushed_to_its_tenant_and_to_no_other(system: System) -> None:
    tenant = f"socket-{uuid.uuid4().hex[:8]}"
    client = system.client(tenant=tenant)
    with _open(system, tenant) as mine, _open(system, f"{tenant}-other") as other:
        for socket in (mine, other):
            assert _ask(socket, {"action": "subscribe", "user_id": "1"}) == {"type": "subscribed", "user_id": "1"}
        target = {"stocks": 60, "bonds": 30, "gold": 10}
        assert client.post("/portfolios", {"user_id": "1", "allocation": target}).status == 201
        report = {"user_id": "1", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}, "request_id": "k1"}
        assert client.post("/rebalance", report).status == 202
        wanted = {"portfolio.created", "rebalance.completed"}
        pushed: list[Any] = []
        while not wanted <= {event["type"] for event in pushed}:
            pushed.append(_receive(mine))
        listed = demo.poll(
            lambda: client.get("/events").json["items"],
            lambda events: len(events) >= len(wanted),
            "the events are not listed",
            TIMEOUT_SECONDS,
        )
        assert [event for event in listed if event["type"] in wanted] == sorted(
            (event for event in pushed if event["type"] in wanted), key=listed.index
        )
        assert "subscribe" in _ask(other, {"action": "unknown"})["detail"], "the first message since the subscription"


def test_a_connect_without_a_token_or_with_a_bad_one_is_refused(system: System) -> None:
    address = system.stack.socket_url
    for url in (address, f"{address}?access_token=bad"):
        with pytest.raises(InvalidHandshake):
            connect(url, open_timeout=TIMEOUT_SECONDS, proxy=None)


def test_a_browser_sends_the_token_in_the_query(system: System) -> None:
    token = system.issuer.token(tenant="socket-browser", user_id="1")
    address = f"{system.stack.socket_url}?access_token={token}"
    with connect(address, open_timeout=TIMEOUT_SECONDS, proxy=None) as socket:
        assert _ask(socket, {"action": "subscribe"}) == {"type": "subscribed"}


def _open(system: System, tenant: str) -> ClientConnection:
    headers = {"Authorization": f"Bearer {system.issuer.token(tenant=tenant, user_id=None)}"}
    return connect(
        system.stack.socket_url,
        additional_headers=headers,
        open_timeout=TIMEOUT_SECONDS,
        proxy=None,
        ping_interval=None,
    )


def _ask(socket: ClientConnection, message: Any) -> Any:
    socket.send(json.dumps(message))
    return _receive(socket)


def _receive(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=TIMEOUT_SECONDS))

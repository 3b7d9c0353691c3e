"""A large import on the deployed system, with its worker killed, while another portfolio is valued."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.local import demo, sample_data
from infra.local.client import Client
from tests.e2e.conftest import System
from tests.e2e.worker_processes import kill_workers

NOW = datetime.now(UTC).replace(microsecond=0)
WORKER = b"ledger-on-recalculation-requested"
SECONDS = 600.0
KILLED_IN_PROOF = [
    pytest.mark.last,  # valuing so many trades keeps the local AWS busy for minutes
    pytest.mark.proof,
    pytest.mark.assurance("Imports: the worker is killed in the middle of 20,000 rows"),
]


@pytest.mark.parametrize("rows", [2_000, pytest.param(20_000, marks=KILLED_IN_PROOF)])
def test_an_import_whose_worker_is_killed_is_complete_and_once_while_another_portfolio_is_valued(
    system: System, rows: int
) -> None:
    sample_data.load(system.aws("dynamodb"), system.stack.tables["market"], NOW)
    client = system.client(tenant=f"imports-{uuid.uuid4().hex[:8]}")
    heavy, light = _portfolio(client), _portfolio(client)

    job = demo.expect(_import(client, heavy, _file(rows)), 202)
    _add_trade(client, light)
    if rows > 2_000:
        demo.poll(lambda: _read(client, job)["status"], lambda status: status == "RUNNING", "not running", SECONDS)
    demo.poll(lambda: kill_workers(system, WORKER), lambda killed: killed > 0, "no worker was started", SECONDS)
    assert _read(client, job)["status"] in {"REQUESTED", "RUNNING"}
    days = demo.poll(lambda: client.get(f"{light}/history?window=all").json["days"], bool, "no value", SECONDS)
    assert days
    done = demo.poll(lambda: _read(client, job), lambda each: each["status"] == "COMPLETED", "unfinished", SECONDS)

    assert (done["recorded"], done["already_recorded"]) == (rows, 0)
    (holding,) = client.get(f"{heavy}/holdings").json["items"]
    assert (holding["quantity"], holding["cost_basis"]) == (f"{rows}.000000000", f"{2 * rows}.00")
    if rows <= 2_000:  # the local AWS sorts all items of the portfolio for each page
        assert _count_trades(client, heavy) == rows
    again = demo.expect(_import(client, heavy, _file(rows)), 200)
    assert (again["import_id"], again["recorded"], again["already_recorded"]) == (job["import_id"], 0, rows)


def _portfolio(client: Client) -> str:
    answer = client.post("/portfolios", {"user_id": "1", "name": uuid.uuid4().hex})
    return f"/portfolios/{demo.expect(answer, 201)['portfolio_id']}"


def _file(rows: int) -> bytes:
    lines = ["ref_id,side,security_type,symbol,quantity,amount,executed_at"]
    first = NOW - timedelta(days=300)
    times = [f"{first + timedelta(minutes=10 * number):%Y-%m-%dT%H:%M:%SZ}" for number in range(rows)]
    lines += [f"row-{number},BUY,stock,AAPL,1,2.00,{at}" for number, at in enumerate(times)]
    return "\n".join(lines).encode()


def _import(client: Client, path: str, text: bytes) -> Any:
    return client.call("POST", f"{path}/trades/import", raw=text, headers={"Content-Type": "text/csv"})


def _read(client: Client, job: dict[str, Any]) -> Any:
    return demo.expect(client.get(job["links"]["self"]), 200)


def _add_trade(client: Client, path: str) -> None:
    trade = {"ref_id": "t", "side": "BUY", "security_type": "stock", "symbol": "AAPL", "quantity": 1, "amount": 100}
    at = f"{NOW - timedelta(days=20):%Y-%m-%dT%H:%M:%SZ}"
    demo.expect(client.post(f"{path}/trades", {**trade, "executed_at": at}), 201)


def _count_trades(client: Client, path: str) -> int:
    count, cursor = 0, ""
    while cursor is not None:
        query = f"limit=100&cursor={cursor}" if cursor else "limit=100"
        page = demo.expect(client.get(f"{path}/trades?{query}"), 200)
        count, cursor = count + len(page["items"]), page["next_cursor"]
    return count

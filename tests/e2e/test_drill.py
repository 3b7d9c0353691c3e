"""The drill on the deployed system: each failure shows in a metric or a log, and the runbook repairs the failure."""

import json
import os
import re
import time
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from infra.environments import load
from infra.local.client import ApiResponse
from infra.settings import FileBars
from tests.e2e.balancing.steps import ended_rebalance, hold_target, new_symbols, now, send_quotes, wait_until
from tests.e2e.conftest import System
from tests.e2e.function_logs import log_lines
from tests.e2e.test_operator import trimtab
from tests.e2e.variables import changed_variables
from tests.support.alpaca import Fault, fake_alpaca
from tests.support.drill import delete_poison, repair_missing_bars, repair_open_circuit, withdraw_wrong_quote
from tests.support.logged_metrics import logged_metrics
from trimtab.kernel.clock import utc_now
from trimtab.market.domain.ingested_days import sessions_up_to

pytestmark = [
    pytest.mark.assurance("Drill: failures of the deployed system, and the repairs by an operator"),
    pytest.mark.proof,
    pytest.mark.skipif(
        os.environ.get("TRIMTAB_CLOUD") == "localstack", reason="functions in containers reach no broker of the test"
    ),
]
TENANT = "demo"
"""A tenant of the platform, so that the drill may move quotes."""


@dataclass
class DeployedDrill:
    """The drill of the deployed system."""

    system: System
    began: float = field(default_factory=time.time)

    def call(self, method: str, path: str, body: Any = None) -> ApiResponse:
        """Return the response of the API."""
        return self.system.client(tenant=TENANT).call(method, path, body)

    def trimtab(self, *arguments: str) -> tuple[int, str]:
        """Run the command line for operators."""
        done = trimtab(self.system, "--as-tenant", TENANT, *arguments)
        return done.returncode, done.stdout + done.stderr

    def rows(self, *arguments: str) -> Any:
        """Run a command with `--json`."""
        return json.loads(trimtab(self.system, "--as-tenant", TENANT, *arguments, "--json").stdout)

    def see(self, metric: str) -> None:
        """Wait until a function has logged the metric above zero."""
        wait_until(lambda: sum(logged_metrics("\n".join(self._lines()))[metric]) > 0, f"{metric} is logged")

    def see_error(self, *names: str) -> None:
        """Wait until a function has logged an error with one of the names."""

        def is_logged() -> bool:
            return any('"ERROR"' in line and any(name in line for name in names) for line in self._lines())

        wait_until(is_logged, f"one of {names} is logged")

    def _lines(self) -> list[str]:
        return list(log_lines(self.system, self.began))


@pytest.fixture
def drill(system: System) -> DeployedDrill:
    """Provide the drill of the deployed system."""
    return DeployedDrill(system)


def test_broker_down(system: System, drill: DeployedDrill) -> None:
    client, (symbol, other) = system.client(tenant=TENANT), new_symbols(2)
    path = hold_target(client, client, {symbol: 50, other: 50})
    secret = f"alpaca-{uuid.uuid4().hex[:8]}"
    keys = {"key_id": "key-1", "secret_key": "secret-1"}
    system.aws("secretsmanager").create_secret(Name=secret, SecretString=json.dumps(keys))
    _allow_alpaca(system)
    with fake_alpaca() as alpaca:
        alpaca.prices |= {symbol: Decimal(140), other: Decimal(100)}
        alpaca.positions |= {symbol: Decimal(50), other: Decimal(50)}
        settings = {"BROKER": "alpaca", "ALPACA_BASE_URL": alpaca.url, "ALPACA_SECRET_ID": secret}
        down = [Fault(method, 500, times=100_000) for method in ("GET", "POST", "DELETE")]
        alpaca.faults += down
        with changed_variables(system, "PAPER_SCENARIO", **settings):
            send_quotes(client, {symbol: "140"})

            def repair() -> None:
                for fault in down:
                    fault.times = 0

            def retry() -> None:
                rebalance = wait_until(lambda: ended_rebalance(client, path), "the rebalance has ended")
                assert rebalance["status"] == "COMPLETED", rebalance
                assert {order["status"] for order in rebalance["execution"]["orders"]} == {"FILLED"}

            repair_open_circuit(drill, repair, retry)
    assert client.get(path).json["status"] == "ACTIVE"


def _allow_alpaca(system: System) -> None:
    """Grant the worker of executions the secret and the circuit, as the deployment of a broker does."""
    function = f"{load(system.cloud_name).prefix}-execution-on-execution-requested"
    role = system.aws("lambda").get_function_configuration(FunctionName=function)["Role"].rpartition("/")[2]
    actions = ["secretsmanager:GetSecretValue", "dynamodb:UpdateItem", "dynamodb:GetItem", "dynamodb:PutItem"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    system.aws("iam").put_role_policy(RoleName=role, PolicyName="alpaca", PolicyDocument=json.dumps(policy))


def test_provider_down(system: System, drill: DeployedDrill) -> None:
    (symbol,) = new_symbols(1)
    assert drill.call("PUT", f"/assets/{symbol}", {"name": "Drill", "exchange": "XNAS"}).status in {200, 201}
    s3, functions = system.aws("s3"), system.aws("lambda")
    bucket, prefix = system.stack.buckets["bars"], FileBars().prefix
    names = [f"{prefix}/{day}.csv" for day in sessions_up_to(utc_now().date())]
    before = {name: text for name in names if (text := _read(s3, bucket, name)) is not None}
    for name in before:
        s3.delete_object(Bucket=bucket, Key=name)
    missing: list[str] = []

    def run_night() -> bool:
        function = f"{load(system.cloud_name).prefix}-market-on-night"
        ran = functions.invoke(FunctionName=function, Payload=b"{}")
        answer = json.loads(ran["Payload"].read())
        missing[:] = re.findall(r"no file of (\S{10})", answer.get("errorMessage", ""))
        assert missing or "days" in answer, answer
        return not missing

    def repair() -> None:
        row = f"symbol,open,high,low,close,volume\n{symbol},100,100,100,100,10\n".encode()
        for name in {*before, *(f"{prefix}/{day}.csv" for day in missing)}:
            s3.put_object(Bucket=bucket, Key=name, Body=before.get(name, row))

    repair_missing_bars(drill, run_night, repair)


def _read(s3: Any, bucket: str, name: str) -> bytes | None:
    try:
        return bytes(s3.get_object(Bucket=bucket, Key=name)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return None


def test_poison(system: System, drill: DeployedDrill) -> None:
    poison = f"not JSON {uuid.uuid4().hex}"
    system.aws("sqs").send_message(QueueUrl=system.stack.queues["rebalance-requests"], MessageBody=poison)

    def is_dead() -> bool:
        return any(letter["body"] == poison for letter in drill.rows("dead-letters", "list"))

    wait_until(is_dead, "five deliveries have failed")
    delete_poison(drill, poison)


def test_table_name_wrong(system: System, drill: DeployedDrill) -> None:
    (symbol,) = new_symbols(1)
    path = f"/quotes/{symbol}"
    send_quotes(system.client(tenant=TENANT), {symbol: "100"})
    wait_until(lambda: drill.call("GET", path).status == 200, "the quote is stored")
    with changed_variables(system, "MARKET_TABLE", "-market-api", MARKET_TABLE="mraket"):
        # API Gateway counts the response in 5XXError, which the alarm `api-errors` watches.
        assert drill.call("GET", path).status == 500
        drill.see_error("ResourceNotFoundException", "AccessDenied")

    # The functions have their settings of before, as after a deployment of a commit that worked.
    assert drill.call("GET", path).json["price"] == "100"
    assert drill.trimtab("pending", "jobs", "--tenant", TENANT)[0] == 0


def test_wrong_quote(system: System, drill: DeployedDrill) -> None:
    (symbol,) = new_symbols(1)

    def send(price: int) -> None:
        quotes = [{"symbol": symbol, "price": str(price), "as_of": now()}]
        assert drill.call("POST", "/quotes", {"quotes": quotes}).status == 202
        wait_until(lambda: str(price) in _prices(drill, symbol), "the quote is stored or held")

    withdraw_wrong_quote(drill, symbol, send)


def _prices(drill: DeployedDrill, symbol: str) -> list[str]:
    """Return the accepted and the held price."""
    answer = drill.call("GET", f"/quotes/{symbol}")
    if answer.status != 200:
        return []
    shown = answer.json
    return [shown["price"], *([shown["held"]["price"]] if shown["held"] else [])]

"""Set-up of the Alpaca adapter against a fake Alpaca server, over real HTTP and with a circuit breaker of its own."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerDynamoDBPersistence

from tests.support.alpaca import FakeAlpaca, Fault
from tests.support.brokers import PAPER_TABLE
from trimtab.portfolios.execution.alpaca import AlpacaBroker
from trimtab.portfolios.execution.alpaca_http import AlpacaHttp, alpaca_keys

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

PATIENT_SECONDS = 10
IMPATIENT_SECONDS = 0.5


@dataclass
class AlpacaSetup:
    """A fake Alpaca server and the settings of its brokers; AAPL costs 10."""

    fake: FakeAlpaca
    client: "DynamoDBClient"
    circuit: str
    secret: str = '{"key_id": "key-1", "secret_key": "secret-1"}'
    secret_reads: int = 0
    read_seconds: float = PATIENT_SECONDS

    def broker(self) -> AlpacaBroker:
        """Return a new broker; all brokers of the set-up share the circuit breaker."""
        store = CircuitBreakerDynamoDBPersistence(
            PAPER_TABLE, key_attr="pk", static_pk_value="CIRCUITS", sort_key_attr="sk", boto3_client=self.client
        )
        http = AlpacaHttp(
            self.fake.url,
            alpaca_keys(self.read_secret),
            store,
            circuit=self.circuit,
            connect_seconds=0.3,
            read_seconds=self.read_seconds,
        )
        return AlpacaBroker(http)

    def read_secret(self) -> str:
        """Return the secret like Secrets Manager, and count the read."""
        self.secret_reads += 1
        return self.secret

    def add_fault(self, method: str, kind: int | str, **options: Any) -> None:
        """Add a fault of the next requests; see `Fault`. Brokers made after a silence wait for answers only briefly."""
        if kind == "silence":
            self.read_seconds = IMPATIENT_SECONDS
        self.fake.faults.append(Fault(method, kind, **options))

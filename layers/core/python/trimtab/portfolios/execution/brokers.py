"""Which broker executes: paper, unless Alpaca is configured."""

from decimal import Decimal
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from trimtab.contracts import quotes
from trimtab.kernel.clock import Clock
from trimtab.portfolios.execution.broker import Broker
from trimtab.runtime import dynamo
from trimtab.runtime.settings import Settings

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

    from trimtab.portfolios.execution.paper import Prices


class BrokerSettings(Settings):
    """What a function that trades is told of its broker.

    `paper_table` keeps the paper broker's orders and, for Alpaca, the state of its circuit. `paper_scenario` is the
    JSON of `paper_scenario`'s rules. `alpaca_secret_id` names the secret with the keys.
    """

    broker: Literal["paper", "alpaca"] = "paper"
    market_table: str
    paper_table: str
    paper_scenario: str = "[]"
    alpaca_base_url: str = "https://paper-api.alpaca.markets"
    alpaca_secret_id: str = ""

    @model_validator(mode="after")
    def _alpaca_has_keys(self) -> Self:
        if self.broker == "alpaca" and not self.alpaca_secret_id:
            raise ValueError("BROKER is alpaca: ALPACA_SECRET_ID must name the secret with its keys.")
        return self


def broker_from(settings: BrokerSettings, client: "DynamoDBClient", clock: Clock) -> Broker:
    """The broker that the settings choose; the other one is not imported, so that a cold start does not pay for it.

    `ValueError` for a scenario or a base URL that cannot be used.
    """
    return _alpaca(settings, client) if settings.broker == "alpaca" else _paper(settings, client, clock)


def _paper(settings: BrokerSettings, client: "DynamoDBClient", clock: Clock) -> Broker:
    from trimtab.portfolios.execution.paper import PaperBroker  # noqa: PLC0415 - see `broker_from`
    from trimtab.portfolios.execution.paper_scenario import parse_scenario  # noqa: PLC0415

    prices = stored_prices(client, settings.market_table)
    return PaperBroker(client, settings.paper_table, prices, clock, parse_scenario(settings.paper_scenario))


def _alpaca(settings: BrokerSettings, client: "DynamoDBClient") -> Broker:
    from trimtab.portfolios.execution.alpaca import AlpacaBroker  # noqa: PLC0415 - see `broker_from`
    from trimtab.portfolios.execution.alpaca_http import AlpacaHttp, KeyRing  # noqa: PLC0415
    from trimtab.runtime.outbound import circuits, secret  # noqa: PLC0415

    keys = KeyRing(lambda: secret(settings.alpaca_secret_id))
    circuit = f"alpaca {urlsplit(settings.alpaca_base_url).netloc}"
    store = circuits(client, settings.paper_table)
    return AlpacaBroker(AlpacaHttp(settings.alpaca_base_url, keys, store, circuit=circuit))


def stored_prices(client: "DynamoDBClient", market_table: str) -> "Prices":
    """The prices of the quotes that the market context stores, read consistently."""

    def price(symbol: str) -> Decimal | None:
        item = dynamo.get(client, market_table, quotes.quote_key(symbol))
        return quotes.from_item(item).price if item else None

    return price

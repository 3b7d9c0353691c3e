"""Choice of the broker: paper, unless Alpaca is configured."""

from decimal import Decimal
from typing import TYPE_CHECKING, Literal, Self, assert_never
from urllib.parse import urlsplit

from pydantic import model_validator

from trimtab.contracts import quotes
from trimtab.contracts.quotes import Quote
from trimtab.kernel.clock import Clock
from trimtab.portfolios.execution.broker import Broker, BrokerTerms
from trimtab.portfolios.rebalancing.orders import NO_COMMISSION, Commission
from trimtab.runtime.dynamodb.client import get_item
from trimtab.runtime.settings import Settings

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

    from trimtab.portfolios.execution.paper import PriceLookup


NO_SCENARIO = "[]"


class BrokerTermsSettings(Settings):
    """Environment of a function that plans orders: the broker and its terms.

    * `paper_sessions`: the paper broker fills orders only in the sessions of the exchange, as Alpaca does.
    * `paper_scenario`: rules of the paper broker as JSON, see `paper_scenario`.
    * `alpaca_secret_id`: name of the secret with the API keys of Alpaca.
    """

    broker: Literal["paper", "alpaca"] = "paper"
    paper_sessions: bool = False
    paper_scenario: str = NO_SCENARIO
    alpaca_base_url: str = "https://paper-api.alpaca.markets"
    alpaca_secret_id: str = ""

    @model_validator(mode="after")
    def _alpaca_has_keys(self) -> Self:
        if self.broker == "alpaca" and not self.alpaca_secret_id:
            raise ValueError("BROKER is alpaca: set ALPACA_SECRET_ID to the name of the secret with its API keys.")
        return self

    @property
    def terms(self) -> BrokerTerms:
        """Terms of the configured broker. Alpaca charges no commission, and has one account for its API keys."""
        match self.broker:
            case "paper":
                return BrokerTerms(self.paper_sessions, _paper_commission(self.paper_scenario))
            case "alpaca":
                account = f"{urlsplit(self.alpaca_base_url).netloc}/{self.alpaca_secret_id}"
                return BrokerTerms(trades_by_session=True, shared_account=account)
            case _:
                assert_never(self.broker)


class BrokerSettings(BrokerTermsSettings):
    """Environment of a function that talks to the broker.

    `paper_table` has the orders of the paper broker, and the circuit breaker of Alpaca.
    """

    market_table: str
    paper_table: str


def _paper_commission(scenario: str) -> Commission:
    if scenario == NO_SCENARIO:
        return NO_COMMISSION
    from trimtab.portfolios.execution import paper_scenario  # noqa: PLC0415 - see `broker_from`

    return paper_scenario.commission_of(paper_scenario.parse_scenario(scenario))


def broker_from(settings: BrokerSettings, client: "DynamoDBClient", clock: Clock) -> Broker:
    """Return the configured broker; the other adapter is not imported, which keeps the cold start short.

    Raises `ValueError` for an invalid scenario or base URL.
    """
    match settings.broker:
        case "paper":
            return _paper(settings, client, clock)
        case "alpaca":
            return _alpaca(settings, client)
        case _:
            assert_never(settings.broker)


def _paper(settings: BrokerSettings, client: "DynamoDBClient", clock: Clock) -> Broker:
    from trimtab.portfolios.execution.paper import PaperBroker  # noqa: PLC0415 - see `broker_from`
    from trimtab.portfolios.execution.paper_scenario import parse_scenario  # noqa: PLC0415

    prices = stored_prices(client, settings.market_table)
    return PaperBroker(client, settings.paper_table, prices, clock, parse_scenario(settings.paper_scenario))


def _alpaca(settings: BrokerSettings, client: "DynamoDBClient") -> Broker:
    from trimtab.portfolios.execution.alpaca import AlpacaBroker  # noqa: PLC0415 - see `broker_from`
    from trimtab.portfolios.execution.alpaca_http import AlpacaHttp, alpaca_keys  # noqa: PLC0415
    from trimtab.runtime.http_client import circuit_store  # noqa: PLC0415
    from trimtab.runtime.secrets import read_secret  # noqa: PLC0415

    keys = alpaca_keys(lambda: read_secret(settings.alpaca_secret_id))
    circuit = f"alpaca {urlsplit(settings.alpaca_base_url).netloc}"
    store = circuit_store(client, settings.paper_table)
    return AlpacaBroker(AlpacaHttp(settings.alpaca_base_url, keys, store, circuit=circuit))


def stored_prices(client: "DynamoDBClient", market_table: str) -> "PriceLookup":
    """Return a lookup of quote prices in the table of the market context, by consistent reads."""

    def price(symbol: str) -> Decimal | None:
        item = get_item(client, market_table, quotes.quote_key(symbol))
        return Quote.from_item(item).price if item else None

    return price

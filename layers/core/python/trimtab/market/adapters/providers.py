"""The choice of the provider of daily bars: files, or Massive if configured."""

from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from trimtab.kernel.strict_csv import DecimalMark
from trimtab.market.domain.providers import BarProvider
from trimtab.runtime.settings import Settings

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class ProviderSettings(Settings):
    """The settings of a function that ingests bars.

    `bars_place` is the location of files, `s3://bucket/prefix` or a directory, and `bars_decimal` the decimal mark of
    their numbers, by default a point. `massive_secret_id` names the secret
    with the key of Massive. The table `market` holds the state of Massive's circuit breaker. Held prices that a close
    confirms are sent to the queue `quotes`.
    """

    bars_provider: Literal["file", "massive"] = "file"
    bars_place: str = ""
    bars_decimal: DecimalMark | None = None
    massive_base_url: str = "https://api.massive.com"
    massive_secret_id: str = ""
    massive_calls_per_minute: int = 5
    quotes_queue_url: str
    market_table: str

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.bars_provider == "massive" and not self.massive_secret_id:
            raise ValueError("MASSIVE_SECRET_ID must name the secret with the key if BARS_PROVIDER is massive.")
        if self.bars_provider == "file" and not self.bars_place:
            raise ValueError("BARS_PLACE must name the location of the files if BARS_PROVIDER is file.")
        return self


def provider_from(settings: ProviderSettings, client: "DynamoDBClient") -> BarProvider:
    """Return the provider that the settings choose; raises `ValueError` for an unusable base URL."""
    if settings.bars_provider == "massive":
        return _massive(settings, client)
    from trimtab.market.adapters.files import BarFiles, file_reader  # noqa: PLC0415 - a cold start imports one provider

    return BarFiles(file_reader(settings.bars_place), decimal=settings.bars_decimal)


def _massive(settings: ProviderSettings, client: "DynamoDBClient") -> BarProvider:
    from trimtab.market.adapters.massive import connect, parse_key  # noqa: PLC0415 - see `provider_from`
    from trimtab.runtime.http_client import CredentialCache, circuit_store  # noqa: PLC0415
    from trimtab.runtime.secrets import read_secret  # noqa: PLC0415

    keys = CredentialCache(lambda: read_secret(settings.massive_secret_id), parse_key)
    circuit = f"massive {urlsplit(settings.massive_base_url).netloc}"
    store = circuit_store(client, settings.market_table)
    pace = settings.massive_calls_per_minute
    return connect(settings.massive_base_url, keys, store, circuit=circuit, calls_per_minute=pace)

"""The routes of quotes and splits: market data belong to the platform."""

from datetime import UTC, datetime, time
from functools import lru_cache, partial
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from trimtab.contracts.fields import Asset, Day
from trimtab.contracts.quotes import Split
from trimtab.kernel.clock import utc_now
from trimtab.market import schemas
from trimtab.market.adapters import DynamoMarket
from trimtab.market.service import Market
from trimtab.runtime import http
from trimtab.runtime.documentation import route
from trimtab.runtime.dynamo import dynamodb
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings

MAX_BYTES = 256 * 1024


class MarketSettings(Settings):
    """What this function is told by its environment."""

    market_table: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> MarketSettings:
    """The settings, read on first use."""
    return MarketSettings.load()


@lru_cache(maxsize=1)
def market() -> Market:
    """The market, wired to DynamoDB."""
    return Market(DynamoMarket(dynamodb(), settings().market_table), utc_now)


app = http.Api(auth=lambda: settings().auth, bodies={"/quotes": http.Body(max_bytes=MAX_BYTES)})
market_route = partial(route, scope="market:write", tag="Market")


@app.post("/quotes", **market_route("Store quotes", answers=schemas.StoredView))
def store_quotes(body: schemas.StoreQuotes) -> Response[Any]:
    """Store quotes; of each symbol the newest wins, whatever order they come in."""
    return http.answer(schemas.stored_view(market().store_quotes([quote.to_domain() for quote in body.quotes])))


@app.put("/assets/<symbol>/splits/<effective_on>", **market_route("Enter a split", answers=schemas.SplitsView))
def enter_split(
    symbol: Annotated[Asset, Path()], effective_on: Annotated[Day, Path()], body: schemas.EnterSplit
) -> Response[Any]:
    """Enter a split of a symbol for a day; holdings are adjusted from its first instant (UTC) on."""
    split = Split(datetime.combine(effective_on, time(), UTC), body.ratio, body.per)
    return http.answer(schemas.splits_view(market().enter_split(symbol, split)))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The gateway's proxy integration."""
    return app.resolve(event, context)

"""The routes of quotes and splits: market data belong to the platform."""

from datetime import UTC, datetime, time
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from trimtab.contracts.fields import Asset, Day
from trimtab.contracts.quotes import Split
from trimtab.kernel.clock import utc_now
from trimtab.market import schemas
from trimtab.market.adapters.quotes import DynamoMarket, Quotes
from trimtab.market.domain.quotes import require_not_ahead
from trimtab.market.service.quotes import Market
from trimtab.runtime import http
from trimtab.runtime.documentation import route
from trimtab.runtime.dynamo import dynamodb
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs import sqs

MAX_BYTES = 256 * 1024


class MarketSettings(Settings):
    """What this function is told by its environment."""

    market_table: str
    quotes_queue_url: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> MarketSettings:
    """The settings, read on first use."""
    return MarketSettings.load()


@lru_cache(maxsize=1)
def market() -> Market:
    """The market, wired to DynamoDB."""
    return Market(DynamoMarket(dynamodb(), settings().market_table), utc_now)


@lru_cache(maxsize=1)
def quote_queue() -> Quotes:
    """The queue of quotes, wired to SQS."""
    return Quotes(sqs(), settings().quotes_queue_url)


app = http.Api(auth=lambda: settings().auth, bodies={"/quotes": http.Body(max_bytes=MAX_BYTES)})
market_route = partial(route, scope="market:write", tag="Market")


@app.post("/quotes", **market_route("Store quotes", answers=schemas.QuotesAcceptedView, status=HTTPStatus.ACCEPTED))
def store_quotes(body: schemas.StoreQuotes) -> Response[Any]:
    """Hand in quotes: of each symbol the newest wins, whatever order they come in, and an older one is dropped.

    A worker stores them, and finds the portfolios that they move out of their bands.
    """
    quotes = schemas.to_domain(body.quotes)
    require_not_ahead(quotes, utc_now())
    quote_queue().send(quotes, app.caller.tenant_id)
    return http.answer({"accepted": len(quotes)}, HTTPStatus.ACCEPTED)


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

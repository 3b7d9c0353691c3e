"""The routes of assets, bars, quotes and splits: market data belong to the platform."""

from datetime import UTC, date, datetime, time
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from trimtab.contracts.assets import Sector
from trimtab.contracts.fields import Asset, Day
from trimtab.contracts.quotes import Split
from trimtab.kernel.clock import utc_now
from trimtab.market import schemas
from trimtab.market.adapters.assets import DynamoAssets
from trimtab.market.adapters.bars import DynamoBars
from trimtab.market.adapters.quotes import DynamoMarket, Quotes
from trimtab.market.domain.quotes import require_not_ahead
from trimtab.market.service.assets import Assets
from trimtab.market.service.quotes import Market
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.app import Api, Body, lambda_handler
from trimtab.runtime.http.cursors import decode_cursor
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.parameters import Cursor, Limit
from trimtab.runtime.http.responses import json_response, page_response
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import sqs_client

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
    return Market(DynamoMarket(dynamodb_client(), settings().market_table), utc_now)


@lru_cache(maxsize=1)
def assets() -> Assets:
    """The assets and their bars, wired to DynamoDB."""
    client, table = dynamodb_client(), settings().market_table
    return Assets(DynamoAssets(client, table), DynamoBars(client, table))


@lru_cache(maxsize=1)
def quote_queue() -> Quotes:
    """The queue of quotes, wired to SQS."""
    return Quotes(sqs_client(), settings().quotes_queue_url)


app = Api(auth=lambda: settings().auth, bodies={"/quotes": Body(max_bytes=MAX_BYTES)})
market_route = partial(route, scope="market:write", tag="Market")
asset_route = partial(route, tag="Market")
READ = "market:read"
Symbol = Annotated[Asset, Path(description="The symbol of an asset.")]
InSector = Annotated[Sector | None, Query(description="Only this sector's; without it, all, by sector.")]
FirstDay = Annotated[Day, Query(alias="from", description="The first day.")]
LastDay = Annotated[Day, Query(alias="to", description="The last day.")]


@app.post("/quotes", **market_route("Store quotes", answers=schemas.QuotesAcceptedView, status=HTTPStatus.ACCEPTED))
def store_quotes(body: schemas.StoreQuotes) -> Response[Any]:
    """Hand in quotes: of each symbol the newest wins, whatever order they come in, and an older one is dropped.

    A worker stores them, and finds the portfolios that they move out of their bands.
    """
    quotes = schemas.to_domain(body.quotes)
    require_not_ahead(quotes, utc_now())
    quote_queue().send(quotes, app.caller.tenant_id)
    return json_response({"accepted": len(quotes)}, HTTPStatus.ACCEPTED)


@app.put("/assets/<symbol>", **asset_route("Enter an asset", "market:write", schemas.AssetView))
def enter_asset(symbol: Symbol, body: schemas.EnterAsset) -> Response[Any]:
    """Say what an asset is; the same again changes nothing. The bars of an active one are taken in every night."""
    return json_response(schemas.asset_view(assets().enter(body.to_domain(symbol))))


@app.get("/assets/<symbol>", **asset_route("Read an asset", READ, schemas.AssetView))
def get_asset(symbol: Symbol) -> Response[Any]:
    """Read an asset."""
    return json_response(schemas.asset_view(assets().get(symbol)))


@app.get("/assets", **asset_route("List assets", READ, schemas.AssetList))
def list_assets(sector: InSector = None, limit: Limit = 50, cursor: Cursor = None) -> Response[Any]:
    """List the assets of a sector by symbol, or all assets, sector after sector."""
    query = ("assets", sector or "")
    page = assets().list(sector, limit=limit, after=decode_cursor(cursor, *query))
    return page_response([schemas.asset_view(it) for it in page.items], page.next_position, *query)


@app.get("/assets/<symbol>/bars", **asset_route("List bars", READ, schemas.BarList))
def list_bars(
    symbol: Symbol, first: FirstDay = date.min, last: LastDay = date.max, limit: Limit = 50, cursor: Cursor = None
) -> Response[Any]:
    """List an asset's daily bars, newest first, unadjusted: its splits are entered apart."""
    query = ("bars", symbol, first.isoformat(), last.isoformat())
    after = decode_cursor(cursor, *query)
    page = assets().list_bars(symbol, first, last, limit=limit, after=after)
    return page_response([schemas.bar_view(it) for it in page.items], page.next_position, *query)


@app.put("/assets/<symbol>/splits/<effective_on>", **market_route("Enter a split", answers=schemas.SplitsView))
def enter_split(
    symbol: Annotated[Asset, Path()], effective_on: Annotated[Day, Path()], body: schemas.EnterSplit
) -> Response[Any]:
    """Enter a split of a symbol for a day; holdings are adjusted from its first instant (UTC) on."""
    split = Split(datetime.combine(effective_on, time(), UTC), body.ratio, body.per)
    return json_response(schemas.splits_view(market().enter_split(symbol, split)))


handler = lambda_handler(app)

"""The routes of assets, bars, quotes and splits. Market data belong to the platform, not to a tenant."""

from datetime import date
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from trimtab.contracts.assets import Sector
from trimtab.contracts.fields import Asset, Day, Time
from trimtab.contracts.messages import QuoteReceived
from trimtab.kernel.clock import utc_now
from trimtab.market import schemas
from trimtab.market.adapters.assets import AssetStore
from trimtab.market.adapters.bars import BarStore
from trimtab.market.adapters.quote_queue import QuoteQueue
from trimtab.market.adapters.quotes import QuoteStore
from trimtab.market.domain.quotes import require_not_in_future
from trimtab.market.service.assets import AssetService
from trimtab.market.service.price_operations import PriceOperations
from trimtab.market.service.quotes import QuoteService
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.app import Api, Body, lambda_handler
from trimtab.runtime.http.cursors import decode_cursor
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.idempotency import bind_key
from trimtab.runtime.http.parameters import Cursor, IdempotencyKey, Limit
from trimtab.runtime.http.responses import json_response, page_response
from trimtab.runtime.settings import Settings
from trimtab.runtime.sqs.sender import send_message, sqs_client

MAX_BYTES = 256 * 1024


class MarketSettings(Settings):
    """Environment variables of this function."""

    market_table: str
    quotes_queue_url: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> MarketSettings:
    """Return the settings, read on first use."""
    return MarketSettings.load()


@lru_cache(maxsize=1)
def quotes() -> QuoteService:
    """Return the quote service, wired to DynamoDB."""
    client, table = dynamodb_client(), settings().market_table
    return QuoteService(QuoteStore(client, table), BarStore(client, table), utc_now)


@lru_cache(maxsize=1)
def operations() -> PriceOperations:
    """Return the operations on prices, wired to DynamoDB and SQS."""
    client, table = dynamodb_client(), settings().market_table
    queue = QuoteQueue(sqs_client(), settings().quotes_queue_url)
    return PriceOperations(QuoteStore(client, table), BarStore(client, table), queue.submit, utc_now)


@lru_cache(maxsize=1)
def assets() -> AssetService:
    """Return the asset service, wired to DynamoDB."""
    client, table = dynamodb_client(), settings().market_table
    return AssetService(AssetStore(client, table), BarStore(client, table), QuoteStore(client, table))


app = Api(auth=lambda: settings().auth, bodies={"/quotes": Body(max_bytes=MAX_BYTES)})
market_route = partial(route, scope="market:write", tag="Market")
asset_route = partial(route, tag="Market")
READ = "market:read"
Symbol = Annotated[Asset, Path(description="The symbol of an asset.")]
InSector = Annotated[Sector | None, Query(description="Only assets of this sector; all assets by default.")]
FirstDay = Annotated[Day, Query(alias="from", description="The first day, inclusive.")]
PriceTime = Annotated[Time, Query(description="The `as_of` of the price to withdraw.")]
Reason = Annotated[schemas.Text, Query(description="The reason, for the audit record.")]
SplitDay = Annotated[Day, Path(description="The day of the split.")]
LastDay = Annotated[Day, Query(alias="to", description="The last day, inclusive.")]


@app.post("/quotes", **market_route("Store quotes", answers=schemas.SubmittedQuotesView, status=HTTPStatus.ACCEPTED))
def store_quotes(body: schemas.StoreQuotes, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Submit quotes. The newest quote of each symbol wins, in whatever order quotes arrive; older quotes are discarded.

    A quote further than the asset's `max_jump_percent` from the newest accepted price is held: not used until the price
    is released. A worker stores the quotes and checks the portfolios whose price watches are crossed. The response
    compares the quotes with the prices stored now; the worker decides.
    """
    submitted = schemas.to_domain(body.quotes)
    require_not_in_future(submitted, utc_now())
    bind_key(app, idempotency_key, settings().market_table)
    preview = quotes().preview(submitted)
    message = QuoteReceived(quotes=body.quotes)
    send_message(sqs_client(), settings().quotes_queue_url, message, group=app.caller.tenant_id)
    return json_response(schemas.submitted_view(preview), HTTPStatus.ACCEPTED)


@app.get("/quotes/<symbol>", **asset_route("Read a quote", READ, schemas.QuoteView))
def get_quote(symbol: Symbol) -> Response[Any]:
    """Read the quote of a symbol: the accepted price and its age, the held price, the previous price and the splits."""
    return json_response(schemas.quote_view(operations().read(symbol), utc_now()))


@app.post("/quotes/<symbol>/release", **market_route("Release a held price", answers=schemas.QuoteView))
def release_price(symbol: Symbol, body: schemas.ReleasePrice) -> Response[Any]:
    """Accept the held price of a symbol as the quote, and check the portfolios whose price watches are crossed."""
    quote = operations().release(symbol, body.price, app.caller.subject)
    return json_response(schemas.quote_view(quote, utc_now()))


@app.delete("/quotes/<symbol>", **market_route("Withdraw a price", answers=schemas.QuoteView))
def withdraw_price(symbol: Symbol, as_of: PriceTime, reason: Reason) -> Response[Any]:
    """Withdraw the quote or the held price of a time; the previous accepted price stands again.

    The withdrawn price is not accepted again. An audit record keeps who withdrew the price, when and why.
    """
    quote = operations().withdraw(symbol, as_of, reason, app.caller.subject)
    return json_response(schemas.quote_view(quote, utc_now()))


@app.put("/assets/<symbol>", **asset_route("Enter an asset", "market:write", schemas.AssetView))
def enter_asset(symbol: Symbol, body: schemas.EnterAsset) -> Response[Any]:
    """Enter the reference data of an asset. An asset with equal data is not written again.

    The bars of active assets are ingested every night.
    """
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
    return page_response([schemas.asset_view(asset) for asset in page.items], page.next_position, *query)


@app.get("/assets/<symbol>/bars", **asset_route("List bars", READ, schemas.BarList))
def list_bars(
    symbol: Symbol, first: FirstDay = date.min, last: LastDay = date.max, limit: Limit = 50, cursor: Cursor = None
) -> Response[Any]:
    """List the daily bars of an asset, newest first, unadjusted for splits."""
    query = ("bars", symbol, first.isoformat(), last.isoformat())
    after = decode_cursor(cursor, *query)
    page = assets().list_bars(symbol, first, last, limit=limit, after=after)
    return page_response([schemas.bar_view(bar) for bar in page.items], page.next_position, *query)


@app.put("/assets/<symbol>/splits/<effective_on>", **market_route("Enter a split", answers=schemas.SplitsView))
def enter_split(symbol: Symbol, effective_on: SplitDay, body: schemas.EnterSplit) -> Response[Any]:
    """Enter a split of a symbol. The split takes effect at the opening of the first session on or after the day.

    The session is that of the asset's exchange; without a known calendar the day begins at 00:00 UTC. A split that the
    prices before and after it contradict is refused.
    """
    quote = operations().enter_split(symbol, effective_on, body.ratio, body.per, app.caller.subject)
    return json_response(schemas.splits_view(quote))


@app.patch("/assets/<symbol>/splits/<effective_on>", **market_route("Amend a split", answers=schemas.SplitsView))
def amend_split(symbol: Symbol, effective_on: SplitDay, body: schemas.AmendSplit) -> Response[Any]:
    """Amend the ratio of a split. Holdings and values follow, past days included.

    A ratio that the prices before and after the split contradict is refused. An audit record keeps who amended the
    split, when and why.
    """
    audit = {"reason": body.reason, "actor": app.caller.subject}
    quote = operations().amend_split(symbol, effective_on, body.ratio, body.per, **audit)
    return json_response(schemas.splits_view(quote))


@app.delete("/assets/<symbol>/splits/<effective_on>", **market_route("Withdraw a split", answers=schemas.SplitsView))
def withdraw_split(symbol: Symbol, effective_on: SplitDay, reason: Reason) -> Response[Any]:
    """Withdraw a split that was entered by mistake. Holdings and values follow, past days included.

    The provider of bars does not enter a withdrawn split again; a person can. An audit record keeps who withdrew the
    split, when and why.
    """
    quote = operations().withdraw_split(symbol, effective_on, reason=reason, actor=app.caller.subject)
    return json_response(schemas.splits_view(quote))


handler = lambda_handler(app)

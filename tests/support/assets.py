"""Assets of tests whose prices move as they like."""

from contextlib import suppress

from tests.support.system import MARKET_TABLE
from trimtab.contracts.assets import AssetRecord
from trimtab.kernel.retry import ConditionFailed
from trimtab.market.adapters.assets import AssetStore
from trimtab.runtime.dynamodb.client import dynamodb_client


def accept_every_price(*symbols: str, currency: str = "USD") -> None:
    """Enter assets without a limit of price changes that trade around the clock; known assets stay as they are."""
    store = AssetStore(dynamodb_client(), MARKET_TABLE)
    for symbol in symbols:
        asset = AssetRecord(symbol, symbol, "crypto", None, currency, "CRYPTO", True, max_jump_percent=None)
        with suppress(ConditionFailed):
            store.put_asset(asset)

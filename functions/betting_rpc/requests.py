"""The requests of the RPCs: the bodies of the REST routes, and the members that REST has in path, query and headers."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator

from trimtab.betting.domain.orders import BetStatus
from trimtab.betting.domain.positions import MAX_WINNERS
from trimtab.betting.domain.results import ResultKind
from trimtab.betting.schemas import market_requests
from trimtab.betting.schemas import requests as bodies
from trimtab.contracts.fields import Identifier, KeyText, Model, Whole

Limit = Annotated[Whole, Field(ge=1, le=100)]


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class PlaceOrderCall(bodies.PlaceOrder):
    """An order to place; the key makes the request idempotent."""

    idempotency_key: KeyText | None = None


class OrderCall(Model):
    """The id of an order."""

    order_id: Identifier


class SettleOrderCall(bodies.SettleOrder):
    """The id and the settlement of an order."""

    order_id: Identifier
    result: Annotated[ResultKind | None, BeforeValidator(_lower)] = None


class PageCall(Model):
    """The size of a page, and the cursor of the page before."""

    limit: Limit = 50
    cursor: str | None = None


class ListOrdersCall(PageCall):
    """A filter of orders."""

    user_id: Identifier | None = None
    market_id: Identifier | None = None
    status: BetStatus | None = None


class ListOpenOrdersCall(PageCall):
    """The user whose open orders to list."""

    user_id: Identifier


class ListPositionsCall(PageCall):
    """The user whose positions to list, the number of winners of a market, and the odds of the cash-out."""

    user_id: Identifier
    winners: Annotated[Whole, Field(ge=1, le=MAX_WINNERS)] = 1
    lay_odds: bodies.Odds | None = None
    include_settled: StrictBool = False


class GetMetricsCall(Model):
    """The user whose totals to read, over all markets or over one market."""

    user_id: Identifier
    market_id: Identifier | None = None


class MarketCall(Model):
    """The id of a market."""

    market_id: Identifier


def _by_selection(value: Any) -> Any:
    """Return a list of results as the mapping by selection that REST has; raises `ValueError` for a wrong list."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError("Give a list of results.")
    by_selection = {str(each.get("selection_id", "")): _without_id(each) for each in value}
    if len(by_selection) < len(value):
        raise ValueError("Give each selection once.")
    return by_selection


def _without_id(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _lower(value) for name, value in stated.items() if name != "selection_id"}


_LIST = WithJsonSchema({"type": "array", "items": {"type": "object"}}, mode="validation")


class SettleMarketCall(market_requests.SettleMarket):
    """The id and the settlement of a market.

    Protobuf does not tell an empty list from an absent one, so a market without winners needs `all_lost`.
    """

    market_id: Identifier
    results: Annotated[market_requests.Results, BeforeValidator(_by_selection), _LIST] = Field(default_factory=dict)
    all_lost: StrictBool = False

    @model_validator(mode="after")
    def _require_results(self) -> "SettleMarketCall":
        if bool(self.winners or self.voids or self.results) is self.all_lost:
            raise ValueError("Give winners, voids or results; if every selection has lost, give all_lost alone.")
        return self

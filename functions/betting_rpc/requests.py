"""What the RPCs read: the bodies of the REST routes, with what those take from path, query and headers."""

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from trimtab.betting.domain.orders import OrderStatus
from trimtab.betting.domain.positions import MAX_WINNERS
from trimtab.betting.domain.results import Result
from trimtab.betting.schemas import requests as bodies
from trimtab.contracts.fields import Identifier, Model, Whole

Limit = Annotated[Whole, Field(ge=1, le=100)]


class Placing(bodies.PlaceOrder):
    """An order, and the key that makes it safe to send again."""

    idempotency_key: Identifier | None = None


class OfOrder(Model):
    """Which order."""

    order_id: Identifier


class Settling(bodies.SettleOrder):
    """Which order, and what became of its selection."""

    order_id: Identifier
    result: Annotated[Result | None, BeforeValidator(str.lower)] = None


class Page(Model):
    """How much of a list, from where on."""

    limit: Limit = 50
    cursor: str | None = None


class Listing(Page):
    """Which orders."""

    user_id: Identifier | None = None
    market_id: Identifier | None = None
    status: OrderStatus | None = None


class OpenOrders(Page):
    """Whose open orders."""

    user_id: Identifier


class Positions(Page):
    """Whose positions, and how they are looked at."""

    user_id: Identifier
    winners: Annotated[Whole, Field(ge=1, le=MAX_WINNERS)] = 1
    lay_odds: bodies.Odds | None = None
    include_settled: bool = False


class Sums(Model):
    """Whose sums, and over what."""

    user_id: Identifier
    market_id: Identifier | None = None


class OfMarket(Model):
    """Which market."""

    market_id: Identifier


class Closing(bodies.SettleMarket):
    """Which market, and what became of its selections.

    An empty list and none are the same in protobuf, so that every selection has lost must be said.
    """

    market_id: Identifier
    winners: bodies.Selections = Field(default_factory=list)
    all_lost: bool = False

    @model_validator(mode="after")
    def _says_what_became_of_them(self) -> "Closing":
        if bool(self.winners or self.voids) is self.all_lost:
            raise ValueError("Give winners or voids; where every selection has lost, all_lost and neither of them.")
        return self

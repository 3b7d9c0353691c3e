"""The table `betting`: orders, positions, totals, markets with results and insights."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.betting.domain import keys
from trimtab.betting.domain.exposure_limits import ExposureLimit
from trimtab.betting.domain.insights import MAX_CLOCK_LEAD, Insight
from trimtab.betting.domain.market_states import Market, read_market
from trimtab.betting.domain.markets import MarketUser, MarketWithResults
from trimtab.betting.domain.orders import BetOrder, BetStatus
from trimtab.betting.domain.positions import BettingPosition
from trimtab.betting.domain.totals import OrderTotals, UserTotals
from trimtab.contracts.stored_form import FORM
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import MONEY_PLACES
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import ConditionFailed
from trimtab.runtime.dynamodb.batches import batch_get, batch_get_many
from trimtab.runtime.dynamodb.client import Item, get_item, serialize
from trimtab.runtime.dynamodb.paging import Index, count_entries, query_index, query_keys, query_range
from trimtab.runtime.dynamodb.writes import put_item, transact, update_item, versioned_put

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

USERS_PER_PAGE = 500
BY_USER, BY_MARKET, BY_OPEN_USER, BY_OPEN_MARKET = (
    Index(name, f"{name}_pk", f"{name}_sk") for name in ("by_user", "by_market", "by_open_user", "by_open_market")
)


class OrderFilter(Struct, frozen=True):
    """A filter of orders: by user, by market or by both; of one status, or of any (None)."""

    user_id: str | None
    market_id: str | None
    status: BetStatus | None


class OrderContext(Struct, frozen=True):
    """The stored state that decides a change of an order.

    The order under the id, the market (None if never suspended, closed or settled), the position of the user in the
    market, and the newest insight on the selection.
    """

    order: BetOrder | None
    market: Market | None
    position: BettingPosition | None
    insight: Insight | None


class OpenOrderEntry(Struct, frozen=True):
    """An entry of the index of open orders; `place` is its sort key: user, time of the order, order id."""

    user_id: str
    order_id: str
    place: str


class SettlementProgress(Struct, frozen=True):
    """The number of orders of a market, and how many of them are open.

    Until the market is settled both are read from indexes: eventually consistent, and a lower bound for a market with
    more than some 20,000 orders.
    """

    orders: int
    open: int


class BettingStore(Struct, frozen=True):
    """The store of the betting context. Reads are strongly consistent unless they read an index."""

    client: "DynamoDBClient"
    table: str

    # Orders ------------------------------------------------------------------------------------------------------

    def get_order_context(
        self, tenant_id: str, order_id: str, user_id: str, market_id: str, selection_id: str
    ) -> OrderContext:
        """Return the context of an order, read in one call."""
        order_key, market_key, position_key, insight_key = wanted = [
            keys.order_key(tenant_id, order_id),
            keys.market_key(tenant_id, market_id),
            keys.position_key(tenant_id, user_id, market_id),
            keys.insight_key(tenant_id, market_id, selection_id),
        ]
        found = {(item["pk"], item["sk"]): item for item in batch_get(self.client, self.table, wanted, consistent=True)}
        order, market, position, insight = (
            found.get((key["pk"], key["sk"])) for key in (order_key, market_key, position_key, insight_key)
        )
        return OrderContext(
            BetOrder.from_item(order) if order else None,
            read_market(market) if market else None,
            BettingPosition.from_item(position) if position else None,
            Insight.from_item(insight) if insight else None,
        )

    def get_order(self, tenant_id: str, order_id: str) -> BetOrder | None:
        """Return an order."""
        item = get_item(self.client, self.table, keys.order_key(tenant_id, order_id))
        return BetOrder.from_item(item) if item else None

    def change_orders(
        self,
        orders: Sequence[BetOrder],
        position: BettingPosition,
        change: OrderTotals,
        *,
        open_market: bool,
        market: Market | None = None,
        limit: ExposureLimit | None = None,
    ) -> None:
        """Store orders of one user in one market, at most 90, with the position and the change of the totals.

        Each item is written on the version that was read; with `open_market`, on the version of the market, too. Raises
        `ConditionFailed` otherwise. With `limit`, raises `Unprocessable` if the change would raise the exposure of the
        user above the limit.
        """
        totals = self._add_to_totals(position, change, limit)
        actions = [self._put(order.to_item()) for order in orders]
        if open_market:
            actions.append(self._require_unchanged(position, market))
        actions += self._put_position(position, list_user=not open_market)
        try:
            transact(self.client, [*actions, {"Update": totals}])
        except ConditionFailed as refused:
            if limit is not None and refused.failed.keys() == {len(actions)}:
                raise limit.exceeded() from None
            raise

    def _put(self, item: Item) -> dict[str, Any]:
        return {"Put": versioned_put(self.table, item)}

    def _put_position(self, position: BettingPosition, *, list_user: bool = False) -> list[dict[str, Any]]:
        """Return the put of a position; with its first version the user is listed among the users of the market."""
        actions = [self._put(position.to_item())]
        if list_user or position.version == 1:
            user = MarketUser(position.tenant_id, position.market_id, position.user_id)
            item = serialize(user.to_item())
            actions.append({"Put": {"TableName": self.table, "Item": item}})
        return actions

    def _require_unchanged(self, position: BettingPosition, market: Market | None) -> dict[str, Any]:
        key = serialize(keys.market_key(position.tenant_id, position.market_id))
        check: dict[str, Any] = {
            "TableName": self.table,
            "Key": key,
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        if market is not None:
            check["ConditionExpression"] = "#version = :version"
            check["ExpressionAttributeNames"] = {"#version": "version"}
            check["ExpressionAttributeValues"] = serialize({":version": market.version})
        return {"ConditionCheck": check}

    def _add_to_totals(
        self, position: BettingPosition, change: OrderTotals, limit: ExposureLimit | None
    ) -> dict[str, Any]:
        """Return the update that adds a change to the stored totals of a user without reading them.

        The update is the last action of the transaction: if only the last action fails, the limit refused the order.
        """
        added = {**change.to_cents(), "version": 1}
        names = {f"#n{number}": name for number, name in enumerate(added)}
        additions = ", ".join(f"{placeholder} :{placeholder[1:]}" for placeholder in names)
        amounts = {f":n{number}": amount for number, amount in enumerate(added.values())}
        named = {":tenant": position.tenant_id, ":user": position.user_id, ":now": format_time(position.updated_at)}
        setting = "SET tenant_id = :tenant, user_id = :user, updated_at = :now, #form = :form"
        update: dict[str, Any] = {
            "TableName": self.table,
            "Key": serialize(keys.totals_key(position.tenant_id, position.user_id)),
            "UpdateExpression": f"{setting} ADD {additions}",
            "ExpressionAttributeNames": {**names, "#form": FORM},
            "ExpressionAttributeValues": serialize({**amounts, **named, ":form": 1}),
        }
        if limit is not None and (room := limit.find_room(change)) is not None:
            total = limit.limited.total
            update["ConditionExpression"] = f"attribute_not_exists({total}) OR {total} <= :room"
            update["ExpressionAttributeValues"] |= serialize({":room": int(room.scaleb(MONEY_PLACES))})
        return update

    def list_orders(self, tenant_id: str, wanted: OrderFilter, *, limit: int, after: Any) -> Page[BetOrder]:
        """Return the orders that pass the filter, newest first, from an index.

        A page can be short and still not be the last.
        """
        if wanted.user_id is None:
            index, partition = BY_MARKET, keys.market_partition(tenant_id, wanted.market_id or "")
        else:
            index = BY_OPEN_USER if wanted.status is BetStatus.OPEN else BY_USER
            partition = keys.user_partition(tenant_id, wanted.user_id)
        page = query_index(self.client, self.table, index, partition, limit=limit, after=after)
        matching = [
            order
            for order in map(BetOrder.from_item, page.items)
            if wanted.status in {None, order.status} and wanted.market_id in {None, order.market_id}
        ]
        return Page(matching, page.next_position)

    def find_open_orders(
        self, tenant_id: str, market_id: str, user_id: str | None, after: str | None
    ) -> Iterator[OpenOrderEntry]:
        """Yield the entries of the open orders of a market, or of one user in the market, sorted by user.

        Starts after the place `after`. The index is eventually consistent: an order can be settled already, or missing.
        """
        # No identifier contains a blank, so a blank sorts before every place.
        condition = ("#s > :after", {":after": after or " "})
        if user_id is not None:
            condition = ("begins_with(#s, :after)", {":after": f"{user_id}#"})
        partition = keys.market_partition(tenant_id, market_id)
        rows = query_keys(self.client, self.table, BY_OPEN_MARKET, partition, condition, consistent=False)
        for row in rows:
            place = row[BY_OPEN_MARKET.sort]
            yield OpenOrderEntry(place.partition("#")[0], row["pk"].rpartition("#")[2], place)

    def find_user_orders(self, market: MarketWithResults, user_id: str, after: str | None) -> Iterator[tuple[str, str]]:
        """Yield place and id of each order that a user placed while the market took orders, oldest first.

        The orders can be in any market. Starts after the place `after`. The index is eventually consistent.
        """
        first = after or self._find_first_place(market)
        last = format_time(market.first_closed_at + MAX_CLOCK_LEAD)
        partition = keys.user_partition(market.tenant_id, user_id)
        condition = ("#s > :after", {":after": first})
        for row in query_keys(self.client, self.table, BY_USER, partition, condition, consistent=False):
            place = row[BY_USER.sort]
            if place > last:
                return
            yield place, row["pk"].rpartition("#")[2]

    def _find_first_place(self, market: MarketWithResults) -> str:
        """Return a place before the oldest order of a market; before every place if the index shows none."""
        partition = keys.market_partition(market.tenant_id, market.market_id)
        page = query_index(self.client, self.table, BY_MARKET, partition, limit=1, newest_first=False)
        return next((format_time(BetOrder.from_item(item).created_at) for item in page.items), " ")

    def get_orders_and_position(
        self, tenant_id: str, user_id: str, market_id: str, order_ids: Sequence[str]
    ) -> tuple[list[BetOrder], BettingPosition | None]:
        """Return orders of a user, at most 90, without those in other markets, and the position, in one read."""
        wanted = [keys.order_key(tenant_id, order_id) for order_id in order_ids]
        wanted.append(keys.position_key(tenant_id, user_id, market_id))
        found = batch_get(self.client, self.table, wanted, consistent=True)
        in_market = (item for item in found if item["sk"] == keys.ORDER and item["market_id"] == market_id)
        orders = [BetOrder.from_item(item) for item in in_market]
        position = next((BettingPosition.from_item(item) for item in found if item["sk"] != keys.ORDER), None)
        return sorted(orders, key=lambda order: (order.created_at, order.order_id)), position

    # Positions and totals ----------------------------------------------------------------------------------------

    def list_positions(self, tenant_id: str, user_id: str, *, limit: int, after: Any) -> Page[BettingPosition]:
        """Return the positions of a user, sorted by market."""
        partition, sort_keys = keys.user_partition(tenant_id, user_id), (keys.POSITION, f"{keys.POSITION}~")
        page = query_range(self.client, self.table, partition, sort_keys, limit=limit, after=after, newest_first=False)
        return Page([BettingPosition.from_item(item) for item in page.items], page.next_position)

    def get_position(self, tenant_id: str, user_id: str, market_id: str) -> BettingPosition | None:
        """Return the position of a user in a market."""
        item = get_item(self.client, self.table, keys.position_key(tenant_id, user_id, market_id))
        return BettingPosition.from_item(item) if item else None

    def get_positions_in_market(self, tenant_id: str, market_id: str, user_ids: Sequence[str]) -> list[BettingPosition]:
        """Return the positions of these users in a market."""
        wanted = [keys.position_key(tenant_id, user_id, market_id) for user_id in user_ids]
        found = batch_get_many(self.client, self.table, wanted, consistent=True)
        return [BettingPosition.from_item(item) for item in found]

    def put_position(self, position: BettingPosition) -> None:
        """Replace a position on the version before; raises `ConditionFailed` otherwise."""
        put_item(self.client, self.table, position.to_item())

    def get_user_totals(self, tenant_id: str, user_id: str) -> UserTotals:
        """Return the totals of a user."""
        item = get_item(self.client, self.table, keys.totals_key(tenant_id, user_id))
        return UserTotals.from_item(item) if item else UserTotals()

    def put_user_totals(self, tenant_id: str, user_id: str, totals: UserTotals) -> None:
        """Replace the totals of a user on the version before; raises `ConditionFailed` otherwise."""
        put_item(self.client, self.table, totals.to_item(tenant_id, user_id))

    # Markets and insights ----------------------------------------------------------------------------------------

    def get_market(self, tenant_id: str, market_id: str) -> MarketWithResults | None:
        """Return a market with results; None before the settlement."""
        market = self.read_market(tenant_id, market_id)
        return market if isinstance(market, MarketWithResults) else None

    def read_market(self, tenant_id: str, market_id: str) -> Market | None:
        """Return a market in any state; None if the market was never suspended, closed or settled, and is open."""
        item = get_item(self.client, self.table, keys.market_key(tenant_id, market_id))
        return read_market(item) if item else None

    def get_markets_with_results(self, markets: Sequence[tuple[str, str]]) -> list[MarketWithResults]:
        """Return the markets with results, of at most 100 given as (tenant id, market id)."""
        wanted = [keys.market_key(tenant_id, market_id) for tenant_id, market_id in markets]
        found = map(read_market, batch_get(self.client, self.table, wanted, consistent=True))
        return [market for market in found if isinstance(market, MarketWithResults)]

    def put_market(self, market: Market) -> None:
        """Store a market in another state; raises `ConditionFailed` unless the version before is stored."""
        put_item(self.client, self.table, market.to_item())

    def get_progress(self, tenant_id: str, market_id: str) -> SettlementProgress:
        """Return how far the settlement of a market is, from two indexes."""
        partition = keys.market_partition(tenant_id, market_id)
        orders, open_orders = (
            count_entries(self.client, self.table, index, partition) for index in (BY_MARKET, BY_OPEN_MARKET)
        )
        return SettlementProgress(orders, open_orders)

    def list_market_users(self, tenant_id: str, market_id: str, after: str | None) -> tuple[list[str], str | None]:
        """Return a page of the users who ever had an order in a market, and where the next page starts.

        The next page starts after the returned user; None at the end.
        """
        page = query_range(
            self.client,
            self.table,
            keys.market_partition(tenant_id, market_id),
            (keys.USER, f"{keys.USER}~"),
            limit=USERS_PER_PAGE,
            after=None if after is None else [keys.USER + after],
            newest_first=False,
        )
        users = [MarketUser.from_item(item).user_id for item in page.items]
        return users, users[-1] if page.next_position else None

    def put_insight(self, tenant_id: str, insight: Insight) -> bool:
        """Store an insight if newer than the stored insight, by a conditional update; return True if stored."""
        item = insight.to_item(tenant_id)
        names = {f"#{name}": name for name in item if name not in {"pk", "sk"}}
        values = {f":{name}": item[name] for name in names.values()}
        try:
            update_item(
                self.client,
                TableName=self.table,
                Key=serialize(keys.insight_key(tenant_id, insight.market_id, insight.selection_id)),
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in names.values()),
                ConditionExpression="attribute_not_exists(as_of) OR as_of < :as_of",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=serialize(values),
            )
        except ConditionFailed as refused:
            if refused.failed.get(0) is None:
                raise  # a transaction holds the item: whether the insight is newer is not known yet
            return False
        return True

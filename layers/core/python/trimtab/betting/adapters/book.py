"""The table `betting`: orders, positions, sums, closed markets and insights."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.betting.adapters import items
from trimtab.betting.adapters.items import BY_MARKET, BY_OPEN_MARKET, BY_OPEN_USER, BY_USER
from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.markets import Market, market_closed
from trimtab.betting.domain.orders import Order, OrderStatus, limit_exceeded
from trimtab.betting.domain.positions import Position
from trimtab.betting.domain.tally import Tally
from trimtab.betting.service.ports import Account, OrderFilter, Progress, Situation
from trimtab.kernel.clock import format_time
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import ConditionFailed
from trimtab.runtime.dynamodb.batches import batch_get, batch_get_many
from trimtab.runtime.dynamodb.client import Item, get_item, serialize
from trimtab.runtime.dynamodb.paging import count_entries, query_index, query_keys, query_range
from trimtab.runtime.dynamodb.writes import put_item, transact, update_item, versioned_put

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_CENTS = 100
USERS_A_PAGE = 500


class DynamoBook(Struct, frozen=True):
    """The store of the betting context."""

    client: "DynamoDBClient"
    table: str

    # Orders ------------------------------------------------------------------------------------------------------

    def situation(self, tenant_id: str, order_id: str, user_id: str, market_id: str, selection_id: str) -> Situation:
        """See `Book.situation`."""
        keys = [
            items.order_key(tenant_id, order_id),
            items.market_key(tenant_id, market_id),
            items.position_key(tenant_id, user_id, market_id),
            items.insight_key(tenant_id, market_id, selection_id),
        ]
        found = batch_get(self.client, self.table, keys, consistent=True)
        by_key = {(item["pk"], item["sk"]): item for item in found}
        order, market, position, insight = (by_key.get((key["pk"], key["sk"])) for key in keys)
        return Situation(
            items.to_order(order) if order else None,
            items.to_market(market) if market else None,
            items.to_position(position) if position else None,
            items.to_insight(market_id, selection_id, insight) if insight else None,
        )

    def order(self, tenant_id: str, order_id: str) -> Order | None:
        """See `Book.order`."""
        item = get_item(self.client, self.table, items.order_key(tenant_id, order_id))
        return items.to_order(item) if item else None

    def place(self, order: Order, position: Position, change: Tally, limit: Decimal) -> None:
        """See `Book.place`."""
        room = int((limit - order.exposure) * _CENTS)
        sums = self._adding(position, change)
        sums["ConditionExpression"] = "attribute_not_exists(open_exposure) OR open_exposure <= :room"
        sums["ExpressionAttributeValues"] |= serialize({":room": room})
        actions = [self._put(items.from_order(order)), self._is_open(order), *self._positioned(position)]
        try:
            transact(self.client, [*actions, {"Update": sums}])
        except ConditionFailed as refused:
            if refused.failed.keys() == {len(actions)}:
                raise limit_exceeded(limit) from None
            raise

    def change(self, orders: Sequence[Order], position: Position, change: Tally, *, open_market: bool) -> None:
        """See `Book.change`."""
        actions = [self._put(items.from_order(order)) for order in orders]
        if open_market:
            actions.append(self._is_open(orders[0]))
        actions += self._positioned(position, on_roster=not open_market)
        try:
            transact(self.client, [*actions, {"Update": self._adding(position, change)}])
        except ConditionFailed as refused:
            if open_market and refused.failed.keys() == {len(orders)}:
                raise market_closed() from None
            raise

    def _put(self, item: Item) -> dict[str, Any]:
        return {"Put": versioned_put(self.table, item)}

    def _positioned(self, position: Position, *, on_roster: bool = False) -> list[dict[str, Any]]:
        """The position, and with its first version who has it: the roster of the market, that no index is needed to
        read."""
        actions = [self._put(items.from_position(position))]
        if on_roster or position.version == 1:
            actions.append({"Put": {"TableName": self.table, "Item": serialize(items.on_roster(position))}})
        return actions

    def _is_open(self, order: Order) -> dict[str, Any]:
        key = serialize(items.market_key(order.tenant_id, order.market_id))
        return {
            "ConditionCheck": {
                "TableName": self.table,
                "Key": key,
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }

    def _adding(self, position: Position, change: Tally) -> dict[str, Any]:
        """The update that adds a change to a user's sums, whatever they are.

        It stands last in its transaction: what comes before it is decided by versions, this by the limit.
        """
        added = {**items.added_to(change), "version": 1}
        names = {f"#n{number}": name for number, name in enumerate(added)}
        additions = ", ".join(f"{placeholder} :{placeholder[1:]}" for placeholder in names)
        values = {f":n{number}": amount for number, amount in enumerate(added.values())}
        named = {":tenant": position.tenant_id, ":user": position.user_id, ":now": format_time(position.updated_at)}
        return {
            "TableName": self.table,
            "Key": serialize(items.metrics_key(position.tenant_id, position.user_id)),
            "UpdateExpression": f"SET tenant_id = :tenant, user_id = :user, updated_at = :now ADD {additions}",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": serialize({**values, **named}),
        }

    def orders(self, tenant_id: str, wanted: OrderFilter, *, limit: int, after: Any) -> Page[Order]:
        """See `Book.orders`."""
        if wanted.user_id is None:
            index, partition = BY_MARKET, items.market_partition(tenant_id, wanted.market_id or "")
        else:
            index = BY_OPEN_USER if wanted.status is OrderStatus.OPEN else BY_USER
            partition = items.user_partition(tenant_id, wanted.user_id)
        page = query_index(self.client, self.table, index, partition, limit=limit, after=after)
        orders = [items.to_order(item) for item in page.items]
        fitting = [
            it
            for it in orders
            if wanted.status in {None, it.status} and wanted.market_id in {None, it.market_id}  # the index has the user
        ]
        return Page(fitting, page.next_position)

    def open_orders(
        self, tenant_id: str, market_id: str, user_id: str | None, after: str | None
    ) -> Iterator[tuple[str, str, str]]:
        """See `Book.open_orders`."""
        # No identifier holds a blank, so the text of one stands before all places.
        condition = ("#s > :after", {":after": after or " "})
        if user_id is not None:
            condition = ("begins_with(#s, :after)", {":after": f"{user_id}#"})
        partition = items.market_partition(tenant_id, market_id)
        rows = query_keys(self.client, self.table, BY_OPEN_MARKET, partition, condition, consistent=False)
        for row in rows:
            place = row[BY_OPEN_MARKET.sort]
            yield place.partition("#")[0], row["pk"].rpartition("#")[2], place

    def some_orders(
        self, tenant_id: str, user_id: str, market_id: str, order_ids: Sequence[str]
    ) -> tuple[list[Order], Position | None]:
        """See `Book.some_orders`."""
        keys = [items.order_key(tenant_id, order_id) for order_id in order_ids]
        keys.append(items.position_key(tenant_id, user_id, market_id))
        found = batch_get(self.client, self.table, keys, consistent=True)
        orders = [items.to_order(item) for item in found if item["sk"] == items.ORDER]
        position = next((items.to_position(item) for item in found if item["sk"] != items.ORDER), None)
        return sorted(orders, key=lambda it: (it.created_at, it.order_id)), position

    # Positions and sums ------------------------------------------------------------------------------------------

    def positions(self, tenant_id: str, user_id: str, *, limit: int, after: Any) -> Page[Position]:
        """See `Book.positions`."""
        partition, every = items.user_partition(tenant_id, user_id), (items.POSITION, f"{items.POSITION}~")
        page = query_range(self.client, self.table, partition, every, limit=limit, after=after, newest_first=False)
        return Page([items.to_position(item) for item in page.items], page.next_position)

    def position(self, tenant_id: str, user_id: str, market_id: str) -> Position | None:
        """See `Book.position`."""
        item = get_item(self.client, self.table, items.position_key(tenant_id, user_id, market_id))
        return items.to_position(item) if item else None

    def account(self, tenant_id: str, user_id: str) -> Account:
        """See `Book.account`."""
        item = get_item(self.client, self.table, items.metrics_key(tenant_id, user_id)) or {}
        return Account(Tally.from_whole(item), item.get("version", 0))

    def put_account(self, tenant_id: str, user_id: str, account: Account) -> None:
        """See `Book.put_account`."""
        key, named = items.metrics_key(tenant_id, user_id), {"tenant_id": tenant_id, "user_id": user_id}
        put_item(self.client, self.table, {**key, **named, **account.tally.whole(), "version": account.version})

    def put_position(self, position: Position) -> None:
        """See `Book.put_position`."""
        put_item(self.client, self.table, items.from_position(position))

    # Markets and insights ----------------------------------------------------------------------------------------

    def market(self, tenant_id: str, market_id: str) -> Market | None:
        """See `Book.market`."""
        item = get_item(self.client, self.table, items.market_key(tenant_id, market_id))
        return items.to_market(item) if item else None

    def markets(self, keys: Sequence[tuple[str, str]]) -> list[Market]:
        """See `Book.markets`."""
        wanted = [items.market_key(tenant_id, market_id) for tenant_id, market_id in keys]
        return [items.to_market(item) for item in batch_get(self.client, self.table, wanted, consistent=True)]

    def put_market(self, market: Market) -> None:
        """See `Book.put_market`."""
        put_item(self.client, self.table, items.from_market(market))

    def progress(self, tenant_id: str, market_id: str) -> Progress:
        """See `Book.progress`."""
        partition = items.market_partition(tenant_id, market_id)
        counted = (count_entries(self.client, self.table, it, partition) for it in (BY_MARKET, BY_OPEN_MARKET))
        return Progress(*counted)

    def users(self, tenant_id: str, market_id: str, after: str | None) -> tuple[list[str], str | None]:
        """See `Book.users`."""
        page = query_range(
            self.client,
            self.table,
            items.market_partition(tenant_id, market_id),
            (items.USER, f"{items.USER}~"),
            limit=USERS_A_PAGE,
            after=None if after is None else [items.USER + after],
            newest_first=False,
        )
        users = [item["user_id"] for item in page.items]
        return users, users[-1] if page.next_position else None

    def some_positions(self, tenant_id: str, market_id: str, user_ids: Sequence[str]) -> list[Position]:
        """See `Book.some_positions`."""
        keys = [items.position_key(tenant_id, user_id, market_id) for user_id in user_ids]
        found = batch_get_many(self.client, self.table, keys, consistent=True)
        return [items.to_position(item) for item in found]

    def advance(self, tenant_id: str, insight: Insight) -> bool:
        """See `InsightStore.advance`. One conditional update and no read."""
        values = {f":{name}": it for name, it in items.insight_values(insight).items()}
        try:
            update_item(
                self.client,
                TableName=self.table,
                Key=serialize(items.insight_key(tenant_id, insight.market_id, insight.selection_id)),
                UpdateExpression="SET " + ", ".join(f"{name[1:]} = {name}" for name in values),
                ConditionExpression="attribute_not_exists(as_of) OR as_of < :as_of",
                ExpressionAttributeValues=serialize(values),
            )
        except ConditionFailed as refused:
            if refused.failed.get(0) is None:
                raise  # a transaction is at work on it: whether it is newer is not known yet
            return False
        return True

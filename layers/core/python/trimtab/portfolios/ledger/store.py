"""Trades, cash entries and holdings in DynamoDB, beside the portfolio that they belong to."""

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.contracts import bars, quotes
from trimtab.contracts.bars import Bar
from trimtab.contracts.events import pack_events
from trimtab.contracts.quotes import Quote
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.money import plain
from trimtab.portfolios.ledger.recalculation import Recalculation, RecalculationStatus
from trimtab.portfolios.ledger.trades import CashEntry, CashType, Trade, TradeRevision
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeStatus
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.ports import Listing, TradeFilter
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.portfolios.store import (
    BY_TIME,
    CASH,
    from_cash_entry,
    from_portfolio,
    from_rebalance,
    open_work,
    portfolio_key,
    to_portfolio,
)
from trimtab.runtime import dynamo

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

BY_SYMBOL = dynamo.Index("by_symbol", "pk", "by_symbol")
TRADE, FILL, JOB = "TRADE#C#", "TRADE#R#", "JOB#"
TRADES_BY_TIME = "TRADE#"
PAGE = 100


class DynamoLedger(Struct, frozen=True):
    """The ledger in the table `portfolios`; quotes are read from the table `market`, by their contract."""

    client: "DynamoDBClient"
    table: str
    market_table: str

    def portfolio_and_quote(
        self, tenant_id: str, portfolio_id: str, symbol: str
    ) -> tuple[Portfolio | None, Quote | None]:
        """See `Ledger.portfolio_and_quote`."""
        found = dynamo.batch_get_tables(
            self.client,
            {self.table: [portfolio_key(tenant_id, portfolio_id)], self.market_table: [quotes.quote_key(symbol)]},
        )
        portfolio, quote = found[self.table], found[self.market_table]
        return to_portfolio(portfolio[0]) if portfolio else None, quotes.from_item(quote[0]) if quote else None

    def portfolio_and_trade(
        self, tenant_id: str, portfolio_id: str, ref_id: str
    ) -> tuple[Portfolio | None, Trade | None]:
        """See `Ledger.portfolio_and_trade`."""
        portfolio, trade = self._pair(tenant_id, portfolio_id, TRADE + ref_id)
        return portfolio, _to_trade(trade) if trade else None

    def portfolio_and_cash_entry(
        self, tenant_id: str, portfolio_id: str, ref_id: str
    ) -> tuple[Portfolio | None, CashEntry | None]:
        """See `Ledger.portfolio_and_cash_entry`."""
        portfolio, entry = self._pair(tenant_id, portfolio_id, CASH + ref_id)
        return portfolio, _to_cash_entry(entry) if entry else None

    def portfolio_and_job(
        self, tenant_id: str, portfolio_id: str, job_id: str
    ) -> tuple[Portfolio | None, Recalculation | None]:
        """See `Ledger.portfolio_and_job`."""
        portfolio, job = self._pair(tenant_id, portfolio_id, JOB + job_id)
        return portfolio, to_job(job) if job else None

    def _pair(self, tenant_id: str, portfolio_id: str, sort: str) -> tuple[Portfolio | None, dynamo.Item | None]:
        key = portfolio_key(tenant_id, portfolio_id)
        found = dynamo.batch_get(self.client, self.table, [key, {**key, "sk": sort}], consistent=True)
        by_sort = {item["sk"]: item for item in found}
        portfolio = by_sort.get(key["sk"])
        return to_portfolio(portfolio) if portfolio else None, by_sort.get(sort)

    def trade(self, tenant_id: str, portfolio_id: str, ref_id: str) -> Trade | None:
        """See `Ledger.trade`."""
        key = {**portfolio_key(tenant_id, portfolio_id), "sk": TRADE + ref_id}
        item = dynamo.get(self.client, self.table, key)
        return _to_trade(item) if item else None

    def some_trades(self, tenant_id: str, portfolio_id: str, ref_ids: Sequence[str]) -> dict[str, Trade]:
        """See `Ledger.some_trades`."""
        partition = portfolio_key(tenant_id, portfolio_id)["pk"]
        keys = [{"pk": partition, "sk": TRADE + ref_id} for ref_id in ref_ids]
        found: dict[str, Trade] = {}
        for start in range(0, len(keys), PAGE):
            for item in dynamo.batch_get(self.client, self.table, keys[start : start + PAGE], consistent=True):
                trade = _to_trade(item)
                found[trade.ref_id] = trade
        return found

    def trades_of(self, tenant_id: str, portfolio_id: str, symbol: str) -> list[Trade]:
        """See `Ledger.trades_of`."""
        return [_to_trade(item) for item in self._items_of(tenant_id, portfolio_id, symbol)]

    def _items_of(self, tenant_id: str, portfolio_id: str, symbol: str) -> Iterator[dynamo.Item]:
        partition, position = portfolio_key(tenant_id, portfolio_id)["pk"], None
        of_symbol = ("begins_with(#s, :symbol)", {":symbol": f"{symbol}#"})
        while True:
            page = dynamo.query(
                self.client, self.table, BY_SYMBOL, partition, of_symbol, limit=PAGE, after=position, consistent=True
            )
            yield from page.items
            position = page.next_position
            if position is None:
                return

    def trades(
        self, tenant_id: str, portfolio_id: str, wanted: TradeFilter, *, limit: int, after: Any
    ) -> Listing[Trade]:
        """See `Ledger.trades`."""
        index = BY_SYMBOL if wanted.symbol else BY_TIME
        prefix = f"{wanted.symbol}#" if wanted.symbol else TRADES_BY_TIME
        # Both ends are texts: an instant alone sorts before the same instant with an id behind it.
        first = prefix + (format_time(wanted.from_time) if wanted.from_time else "")
        last = prefix + (format_time(wanted.to_time) if wanted.to_time else "~")
        if first > last:
            return Listing([])
        between = ("#s BETWEEN :first AND :last", {":first": first, ":last": last})
        partition = portfolio_key(tenant_id, portfolio_id)["pk"]
        page = dynamo.query(
            self.client, self.table, index, partition, between, limit=limit, after=after, consistent=True
        )
        trades = [_to_trade(item) for item in page.items]
        return Listing([it for it in trades if wanted.status is None or it.status is wanted.status], page.next_position)

    def cash_entries(
        self, tenant_id: str, portfolio_id: str, since: datetime | None, *, limit: int, after: Any
    ) -> Listing[CashEntry]:
        """See `Ledger.cash_entries`."""
        between = (
            "#s BETWEEN :first AND :last",
            {":first": CASH + (format_time(since) if since else ""), ":last": CASH + "~"},
        )
        partition = portfolio_key(tenant_id, portfolio_id)["pk"]
        page = dynamo.query(
            self.client, self.table, BY_TIME, partition, between, limit=limit, after=after, consistent=True
        )
        return Listing([_to_cash_entry(item) for item in page.items], page.next_position)

    def quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        """See `Ledger.quotes`."""
        keys = [quotes.quote_key(symbol) for symbol in symbols]
        found: dict[str, Quote] = {}
        for start in range(0, len(keys), PAGE):
            page = keys[start : start + PAGE]
            for item in dynamo.batch_get(self.client, self.market_table, page, consistent=True):
                quote = quotes.from_item(item)
                found[quote.symbol] = quote
        return found

    def closes(self, symbols: Sequence[str], day: date) -> dict[str, Bar]:
        """See `Ledger.closes`. One read for a hundred symbols, and one more for each without a bar of that very day."""
        keys = [bars.bar_key(symbol, day) for symbol in symbols]
        items = dynamo.batch_get_many(self.client, self.market_table, keys, consistent=True)
        found = {it.symbol: it for it in map(bars.from_item, items)}
        for symbol in (it for it in symbols if it not in found):
            first, last = bars.bar_key(symbol, date.min), bars.bar_key(symbol, day)
            page = dynamo.query_range(self.client, self.market_table, last["pk"], (first["sk"], last["sk"]), limit=1)
            if page.items:
                found[symbol] = bars.from_item(page.items[0])
        return found

    def put(self, *things: Portfolio | Trade | CashEntry | Recalculation | Rebalance) -> None:
        """See `Ledger.put`."""
        dynamo.transact(self.client, [{"Put": dynamo.guarded_put(self.table, _from(thing))} for thing in things])


def _from(thing: Portfolio | Trade | CashEntry | Recalculation | Rebalance) -> dynamo.Item:
    match thing:
        case Portfolio():
            return from_portfolio(thing)
        case Trade():
            return _from_trade(thing)
        case CashEntry():
            return from_cash_entry(thing)
        case Recalculation():
            return from_job(thing)
        case Rebalance():
            return from_rebalance(thing)


def _from_trade(it: Trade) -> dynamo.Item:
    executed = format_time(it.executed_at)
    return {
        **portfolio_key(it.tenant_id, it.portfolio_id),
        "sk": (FILL if it.rebalance_id else TRADE) + it.ref_id,
        "by_time": f"{TRADES_BY_TIME}{executed}#{it.ref_id}",
        "by_symbol": f"{it.symbol}#{executed}#{it.ref_id}",
        "tenant_id": it.tenant_id,
        "user_id": it.user_id,
        "side": it.side.value,
        "security_type": it.security_type.value,
        "symbol": it.symbol,
        "quantity": plain(it.quantity),
        "amount": plain(it.amount),
        "fees": plain(it.fees),
        "status": it.status.value,
        "executed_at": executed,
        "request_hash": it.request_hash,
        "created_at": format_time(it.created_at),
        "updated_at": format_time(it.updated_at),
        "moves_cash": it.moves_cash or None,
        "rebalance_id": it.rebalance_id,
        "version": it.version,
        "history": _pack_history(it.history),
        "events": pack_events(it.events),
    }


def _to_trade(item: dynamo.Item) -> Trade:
    return Trade(
        tenant_id=item["tenant_id"],
        portfolio_id=item["pk"].rpartition("#")[2],
        user_id=item["user_id"],
        ref_id=item["sk"].removeprefix(TRADE).removeprefix(FILL),
        side=Side(item["side"]),
        security_type=SecurityType(item["security_type"]),
        symbol=item["symbol"],
        quantity=Decimal(item["quantity"]),
        amount=Decimal(item["amount"]),
        fees=Decimal(item["fees"]),
        status=TradeStatus(item["status"]),
        executed_at=parse_time(item["executed_at"]),
        request_hash=item["request_hash"],
        created_at=parse_time(item["created_at"]),
        updated_at=parse_time(item["updated_at"]),
        moves_cash=item.get("moves_cash", False),
        rebalance_id=item.get("rebalance_id"),
        version=item["version"],
        history=_unpack_history(item.get("history")),
    )


def _pack_history(history: Sequence[TradeRevision]) -> str | None:
    rows = [
        [
            it.corrected_by,
            format_time(it.corrected_at),
            plain(it.quantity),
            plain(it.amount),
            it.status.value,
            format_time(it.executed_at),
        ]
        for it in history
    ]
    return json.dumps(rows, separators=(",", ":")) if rows else None


def _unpack_history(text: str | None) -> tuple[TradeRevision, ...]:
    return tuple(
        TradeRevision(
            by, parse_time(at), Decimal(quantity), Decimal(amount), TradeStatus(status), parse_time(executed_at)
        )
        for by, at, quantity, amount, status, executed_at in json.loads(text or "[]")
    )


def _to_cash_entry(item: dynamo.Item) -> CashEntry:
    return CashEntry(
        tenant_id=item["tenant_id"],
        portfolio_id=item["pk"].rpartition("#")[2],
        ref_id=item["sk"].removeprefix(CASH),
        type=CashType(item["type"]),
        amount=Decimal(item["amount"]),
        balance=Decimal(item["balance"]),
        executed_at=parse_time(item["executed_at"] if "executed_at" in item else item["created_at"]),
        created_at=parse_time(item["created_at"]),
        version=item["version"],
    )


def from_job(it: Recalculation) -> dynamo.Item:
    """The item of a recalculation, with the trade as it shall be packed in it."""
    return {
        **portfolio_key(it.tenant_id, it.portfolio_id),
        "sk": JOB + it.job_id,
        **open_work(it, it.job_id),
        "tenant_id": it.tenant_id,
        "user_id": it.user_id,
        "trade": json.dumps(_from_trade(it.trade), separators=(",", ":")),
        "status": it.status.value,
        "reason": it.reason,
        "resends": it.resends or None,
        "is_stuck": it.is_stuck or None,
        "created_at": format_time(it.created_at),
        "updated_at": format_time(it.updated_at),
        "version": it.version,
        "events": pack_events(it.events),
    }


def to_job(item: dynamo.Item) -> Recalculation:
    """The recalculation of an item."""
    return Recalculation(
        tenant_id=item["tenant_id"],
        portfolio_id=item["pk"].rpartition("#")[2],
        user_id=item["user_id"],
        job_id=item["sk"].removeprefix(JOB),
        trade=_to_trade(json.loads(item["trade"])).with_event(),
        created_at=parse_time(item["created_at"]),
        updated_at=parse_time(item["updated_at"]),
        status=RecalculationStatus(item["status"]),
        reason=item.get("reason"),
        resends=item.get("resends", 0),
        is_stuck=item.get("is_stuck", False),
        version=item["version"],
    )

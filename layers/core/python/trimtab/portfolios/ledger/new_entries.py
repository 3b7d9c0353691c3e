"""Trades and cash entries before they are recorded: as a client, a broker or an operator states them."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.assets import QuoteUnit
from trimtab.contracts.stored_form import UnknownForm
from trimtab.kernel import ids
from trimtab.kernel.currencies import minor_units
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import CONTEXT, QUANTITY_PLACES, ZERO, count_decimals, to_places
from trimtab.portfolios.ledger.trades import Trade, gross_amount
from trimtab.portfolios.portfolio.cash import CashEntry, CashType
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeKind, TradeStatus
from trimtab.portfolios.portfolio.model import Portfolio


class NewTrade(Struct, frozen=True, omit_defaults=True):
    """A trade as a client states it; without `executed_at` the time of recording is used.

    `quoted_price` is set where the amount follows from the price: the amount is right for a price in money, and has to
    be resolved for an asset that is quoted in percent.
    """

    ref_id: str
    side: Side
    security_type: SecurityType
    symbol: str
    quantity: Decimal
    amount: Decimal
    fees: Decimal = ZERO
    status: TradeStatus = TradeStatus.SUCCESS
    executed_at: datetime | None = None
    quoted_price: Decimal | None = None
    kind: TradeKind = TradeKind.TRADE
    spun_off_from: str | None = None
    acquired_on: date | None = None

    @property
    def depends_on_asset(self) -> bool:
        """True where the asset tells the unit of the price, or allows so many decimals of the quantity."""
        return self.quoted_price is not None or count_decimals(self.quantity) > QUANTITY_PLACES

    def resolve_amount(self, unit: QuoteUnit) -> "NewTrade":
        """Return the trade with the amount that follows from the price in this unit.

        >>> stated = (SecurityType.BOND, "T-35", Decimal(10_000), Decimal(985_000))
        >>> bond = NewTrade("t1", Side.BUY, *stated, quoted_price=Decimal("98.5"))
        >>> bond.resolve_amount(QuoteUnit.PERCENT).amount
        Decimal('9850.000000000')
        """
        if self.quoted_price is None:
            return self
        amount = gross_amount(self.quantity, unit.unit_price(self.quoted_price))
        return replace(self, amount=amount, quoted_price=None)

    def request_hash(self, version: int = 1) -> str:
        """Return the versioned hash of the request; equal numbers have equal hashes however they are written.

        >>> ten = NewTrade("t1", Side.BUY, SecurityType.STOCK, "AAPL", Decimal("10"), Decimal("1500.00"))
        >>> also_ten = NewTrade("t1", Side.BUY, SecurityType.STOCK, "AAPL", Decimal("10.000"), Decimal("1500"))
        >>> ten.request_hash() == also_ten.request_hash()
        True
        """
        match version:
            case 1:
                fields = {
                    "side": self.side,
                    "security_type": self.security_type,
                    "symbol": self.symbol,
                    "quantity": self.quantity,
                    "amount": self.amount,
                    "fees": self.fees,
                    "status": self.status,
                    "executed_at": self.executed_at,
                    "kind": self.kind,
                    "spun_off_from": self.spun_off_from,
                    "acquired_on": self.acquired_on,
                }
                defaults = {"fees": ZERO, "status": TradeStatus.SUCCESS, "kind": TradeKind.TRADE}
                return ids.request_hash(version, fields, defaults)
        raise UnknownForm("request hash of a trade", version)

    def matches(self, stored: Trade) -> bool:
        """Return whether the stored trade was recorded by the same request."""
        return ids.is_same_request(stored.request_hash, self.request_hash)

    def to_trade(self, portfolio: Portfolio, now: datetime, tie_rank: int = 0) -> Trade:
        """Return the first revision of the trade, with an event.

        Without `executed_at` the trade comes after every recorded trade of the symbol. `tie_rank` is that of the row in
        an imported file.
        """
        return Trade(
            tenant_id=portfolio.tenant_id,
            portfolio_id=portfolio.portfolio_id,
            user_id=portfolio.user_id,
            ref_id=self.ref_id,
            side=self.side,
            security_type=self.security_type,
            symbol=self.symbol,
            quantity=self.quantity,
            amount=self.amount,
            fees=self.fees,
            status=self.status,
            executed_at=self.executed_at or _time_after_last_trade(portfolio, (self.symbol, self.spun_off_from), now),
            request_hash=self.request_hash(),
            created_at=now,
            updated_at=now,
            tie_rank=tie_rank,
            kind=self.kind,
            spun_off_from=self.spun_off_from,
            acquired_on=self.acquired_on,
            minor_units=minor_units(portfolio.currency),
        ).with_event()


class RebalanceTrade(Struct, frozen=True):
    """A trade of a rebalance, not of a client: a broker's fill, or an adjustment by an operator.

    `amount` and `fees` are money. An `amount` of None is an adjustment: the trade is recorded at the holding's average
    cost and moves no cash.
    """

    ref_id: str
    symbol: str
    side: Side
    quantity: Decimal
    amount: Decimal | None = None
    fees: Decimal = ZERO

    def to_trade(self, portfolio: Portfolio, rebalance_id: str, now: datetime) -> Trade:
        """Return the trade with an event; the trade comes after every recorded trade of the symbol."""
        holding = portfolio.holdings.get(self.symbol)
        average_cost = (holding and holding.average_cost) or ZERO
        units, amount = minor_units(portfolio.currency), self.amount
        amount = to_places(CONTEXT.multiply(self.quantity, average_cost), units) if amount is None else amount
        return Trade(
            tenant_id=portfolio.tenant_id,
            portfolio_id=portfolio.portfolio_id,
            user_id=portfolio.user_id,
            ref_id=self.ref_id,
            side=self.side,
            security_type=holding.security_type if holding else SecurityType.STOCK,
            symbol=self.symbol,
            quantity=self.quantity,
            amount=amount,
            fees=self.fees,
            status=TradeStatus.SUCCESS,
            executed_at=_time_after_last_trade(portfolio, (self.symbol,), now),
            request_hash=ids.request_hash(1, {"ref_id": self.ref_id}),
            created_at=now,
            updated_at=now,
            moves_cash=self.amount is not None,
            rebalance_id=rebalance_id,
            minor_units=units,
        ).with_event()


class NewCashEntry(Struct, frozen=True, omit_defaults=True):
    """A cash entry as a client states it; without `executed_at` the time of recording is used.

    `earlier_type` is the type under which an earlier release recorded the same row of a statement, without a symbol.
    """

    ref_id: str
    type: CashType
    amount: Decimal
    executed_at: datetime | None = None
    symbol: str | None = None
    earlier_type: CashType | None = None

    def matches(self, stored: CashEntry) -> bool:
        """Return whether the stored entry was recorded by the same request; later corrections do not matter."""
        first = stored.first_revision()
        is_same = (first.type, first.symbol) in {(self.type, self.symbol), (self.earlier_type, None)}
        return is_same and self.amount == first.amount and self.executed_at in {None, first.executed_at}

    def to_entry(self, portfolio: Portfolio, now: datetime) -> CashEntry:
        """Return the entry with an event."""
        entry = CashEntry(
            tenant_id=portfolio.tenant_id,
            portfolio_id=portfolio.portfolio_id,
            ref_id=self.ref_id,
            type=self.type,
            amount=self.amount,
            executed_at=self.executed_at or now,
            created_at=now,
            symbol=self.symbol,
            minor_units=minor_units(portfolio.currency),
        )
        return entry.with_event(portfolio.user_id)


def require_fits_kind(trade: NewTrade | Trade) -> None:
    """Raise `Unprocessable` (`not_of_kind`) where a value is missing, or is stated, against the kind of the trade."""
    kind = trade.kind
    rules = {
        f"has the side {kind.side}": trade.side is (kind.side or trade.side),
        "has a quantity" if kind.has_units else "has no quantity": bool(trade.quantity) is kind.has_units,
        "has an amount" if kind.has_amount else "has no amount and no price": bool(trade.amount) is kind.has_amount,
        "has no fees: record them as cash entries": kind is TradeKind.TRADE or not trade.fees,
        "needs `spun_off_from`, the other symbol that bears the cost": kind is not TradeKind.SPIN_OFF
        or trade.spun_off_from not in {None, trade.symbol},
        "has no `spun_off_from`": kind is TradeKind.SPIN_OFF or trade.spun_off_from is None,
        "has no `acquired_on`": kind is TradeKind.TRANSFER_IN or trade.acquired_on is None,
    }
    broken = [rule for rule, is_kept in rules.items() if not is_kept]
    if broken:
        raise Unprocessable("not_of_kind", f"A trade of the kind `{kind.value}` {'; it '.join(broken)}.")


def _time_after_last_trade(portfolio: Portfolio, symbols: Iterable[str | None], now: datetime) -> datetime:
    """Return `now`, or a microsecond after the symbols' last trade where a fast clock has put that trade later."""
    holdings = [portfolio.holdings.get(symbol) for symbol in symbols if symbol is not None]
    last = [holding.last_trade[0] for holding in holdings if holding and holding.last_trade]
    return max([now, *(at + timedelta(microseconds=1) for at in last)])

"""Trades of a portfolio and their corrections."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes, to_attributes
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import CONTEXT, MONEY_PLACES, QUANTITY_PLACES, STATED_PLACES, ZERO, plain, to_places
from trimtab.portfolios.portfolio.cash_rule import CashRule
from trimtab.portfolios.portfolio.holdings import SecurityType, Side, TradeEffect, TradeKind, TradeStatus
from trimtab.portfolios.portfolio.keys import item_key, portfolio_id_in

TRADE_PREFIX, FILL_PREFIX, PARENT_PREFIX = "TRADE#C#", "TRADE#R#", "TRADE#S#"
TRADES_BY_TIME = "TRADE#"
MAX_CLOCK_LEAD = timedelta(minutes=5)
MAX_CORRECTIONS = 100
MAX_AMOUNT = Decimal("999999999999.99")
_STORED_IN_OTHER_ATTRIBUTES = {"portfolio_id", "ref_id", "version", "events"}


class TradeRevision(Struct, frozen=True, omit_defaults=True):
    """The values of a trade before a correction, with the author and the time (UTC) of the correction.

    `fees`, `side` and `symbol` are None where the correction kept them; `reason` is that of an operator.
    """

    corrected_by: str
    corrected_at: datetime
    quantity: Decimal
    amount: Decimal
    status: TradeStatus
    executed_at: datetime
    fees: Decimal | None = None
    side: Side | None = None
    symbol: str | None = None
    reason: str | None = None


class Trade(Record, frozen=True):
    """A trade of a portfolio, or a movement of units or cost without a trade (see `TradeKind`), unique by `ref_id`.

    `quantity`, `amount` (gross) and `fees` have up to 9 decimal places and are kept as given; times are UTC. `version`
    is the number of the present revision, `history` has the earlier revisions, oldest first. `rebalance_id` is set for
    a fill of a rebalance; clients cannot correct fills. `tie_rank` orders the trades of one symbol at one instant: see
    `TradeEffect`. `import_id` names the import that recorded the trade. `moves_cash` decides only for fills, and for
    portfolios of an earlier release (see `CashRule`): there it is true if the portfolio tracked cash when the trade
    first became successful.

    A spin-off is stored as two items with one `ref_id`, its `legs`: the new units, with the parent's symbol in
    `spun_off_from`, and the parent's side, without units, which takes the cost of the new units from the parent.
    `acquired_on` is the day on which transferred units were bought. `minor_units` are the decimals of money in the
    portfolio's currency; trades of earlier releases have 2 in every currency.
    """

    tenant_id: str
    portfolio_id: str
    user_id: str
    ref_id: str
    side: Side
    security_type: SecurityType
    symbol: str
    quantity: Decimal
    amount: Decimal
    fees: Decimal
    status: TradeStatus
    executed_at: datetime
    request_hash: str
    created_at: datetime
    updated_at: datetime
    moves_cash: bool = False
    rebalance_id: str | None = None
    history: tuple[TradeRevision, ...] = ()
    tie_rank: int = 0
    kind: TradeKind = TradeKind.TRADE
    spun_off_from: str | None = None
    acquired_on: date | None = None
    minor_units: int = MONEY_PLACES
    import_id: str | None = None

    @property
    def price(self) -> Decimal | None:
        """Price or cost of one unit (gross amount divided by quantity), 9 decimal places; None without units."""
        return to_places(CONTEXT.divide(self.amount, self.quantity), QUANTITY_PLACES) if self.quantity else None

    @property
    def legs(self) -> "tuple[Trade, ...]":
        """The trade itself and, for a spin-off, the parent's side: the items that are written together."""
        if self.spun_off_from is None:
            return (self,)
        parent = replace(
            self,
            symbol=self.spun_off_from,
            side=Side.SELL,
            quantity=ZERO,
            spun_off_from=None,
            tie_rank=0,
            history=(),
            events=(),
        )
        return self, parent

    @property
    def is_parent_side(self) -> bool:
        """Return whether this is the parent's side of a spin-off."""
        return self.kind is TradeKind.SPIN_OFF and self.spun_off_from is None

    @property
    def effect(self) -> TradeEffect | None:
        """Effect on holding and cash; None unless the status is `success`."""
        if self.status is not TradeStatus.SUCCESS:
            return None
        return TradeEffect(
            self.ref_id,
            self.side,
            self.security_type,
            self.symbol,
            self.quantity,
            self.amount,
            self.fees,
            self.executed_at,
            self.tie_rank,
            self.kind,
            self.minor_units,
        )

    def cash_change(self, rule: CashRule) -> Decimal:
        """Return the change of the portfolio's cash (money) under its rule; zero if the trade does not move cash."""
        return self.effect.cash_change if self.effect and self.is_counted(rule) else ZERO

    def is_counted(self, rule: CashRule) -> bool:
        """Return whether the trade, while successful, changes the cash of a portfolio with this rule."""
        if self.rebalance_id is not None:
            return self.moves_cash
        return rule.counts(self.executed_at, as_recorded=self.moves_cash)

    def with_cash_effect(self, before: "Trade | None", *, cash_is_tracked: bool) -> "Trade":
        """Return the trade with `moves_cash` set.

        `moves_cash` is decided once, when the trade first becomes successful. `before` is the earlier revision, None
        for a new trade.
        """
        was_successful = before is not None and before.effect is not None
        return replace(self, moves_cash=before.moves_cash if before and was_successful else cash_is_tracked)

    def with_event(self) -> "Trade":
        """Return the trade with the event of its present revision: `trade.recorded` or `trade.corrected`."""
        type = "trade.recorded" if self.version == 1 else "trade.corrected"
        return replace(self, events=(Event(type, self._event_data()),))

    def first_revision(self) -> "Trade":
        """Return the first revision of the trade, which is the response to a repeated request."""
        if not self.history:
            return self
        first = self.revisions()[0]
        return replace(
            self,
            fees=first.fees,
            side=first.side,
            symbol=first.symbol,
            quantity=first.quantity,
            amount=first.amount,
            status=first.status,
            executed_at=first.executed_at,
            updated_at=self.created_at,
            version=1,
            history=(),
        )

    def revisions(self) -> list[TradeRevision]:
        """Return the earlier revisions, oldest first, each with all values."""
        found: list[TradeRevision] = []
        fees, side, symbol = self.fees, self.side, self.symbol
        for each in reversed(self.history):
            fees, side, symbol = fees if each.fees is None else each.fees, each.side or side, each.symbol or symbol
            found.insert(0, replace(each, fees=fees, side=side, symbol=symbol))
        return found

    def correct(self, changes: Mapping[str, Any], *, by: str, now: datetime, reason: str | None = None) -> "Trade":
        """Return the next revision with the changed values, by name; the same trade if no value differs.

        `reason` is that of an operator who corrects a fill. Raises `Unprocessable` (`too_many_corrections`) after 100
        corrections.
        """
        corrected = replace(self, **changes)
        if (corrected.executed_at, corrected.symbol) != (self.executed_at, self.symbol):
            corrected = replace(corrected, tie_rank=0)
        if corrected == self:
            return self
        if len(self.history) >= MAX_CORRECTIONS:
            raise Unprocessable(
                "too_many_corrections",
                f"A trade accepts at most {MAX_CORRECTIONS} corrections; trade {self.ref_id} has reached the limit.",
            )
        kept = {name: getattr(self, name) for name in ("fees", "side", "symbol")}
        kept = {name: value for name, value in kept.items() if value != getattr(corrected, name)}
        revision = TradeRevision(
            by, now, self.quantity, self.amount, self.status, self.executed_at, **kept, reason=reason
        )
        next_version = self.version + 1
        corrected = replace(corrected, version=next_version, updated_at=now, history=(*self.history, revision))
        return corrected.with_event()

    @property
    def sort_key(self) -> str:
        """Sort key of the item; fills and parents' sides have keys of their own, which no client's `ref_id` meets."""
        if self.is_parent_side:
            return PARENT_PREFIX + self.ref_id
        return (FILL_PREFIX if self.rebalance_id else TRADE_PREFIX) + self.ref_id

    # Stored form -------------------------------------------------------------------------------------------------

    def attributes(self) -> dict[str, Any]:
        """Return the members as plain values, without those that are None and newer members that have the default."""
        unset = {"tie_rank": 0, "kind": TradeKind.TRADE.value, "minor_units": MONEY_PLACES}
        return {name: value for name, value in to_attributes(self).items() if unset.get(name) != value}

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the trade's item."""
        executed = format_time(self.executed_at)
        attributes = self.attributes()
        return {
            **{name: value for name, value in attributes.items() if name not in _STORED_IN_OTHER_ATTRIBUTES},
            **item_key(self.tenant_id, self.portfolio_id, self.sort_key),
            "by_time": f"{TRADES_BY_TIME}{executed}#{self.ref_id}",
            "by_symbol": f"{self.symbol}#{executed}#{self.ref_id}",
            "history": attributes["history"] or None,
            **self.record_attributes(),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Trade":
        """Return the trade of an item; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                attributes = {
                    **item,
                    "portfolio_id": portfolio_id_in(item["pk"]),
                    "ref_id": item["sk"].split("#", 2)[2],
                    "events": (),
                }
                return from_attributes(attributes, cls)
            case version:
                raise UnknownForm("trade", version)

    def _event_data(self) -> dict[str, Any]:
        """Return the data of the event; holdings before `affects_from` are unaffected by this revision."""
        previous = [revision.executed_at for revision in self.history[-1:]]
        movement = {"kind": self.kind.value, "spun_off_from": self.spun_off_from}
        return {
            "portfolio_id": self.portfolio_id,
            "user_id": self.user_id,
            "ref_id": self.ref_id,
            "side": self.side.value,
            "symbol": self.symbol,
            "quantity": plain(self.quantity),
            "amount": plain(self.amount),
            "status": self.status.value,
            "executed_at": format_time(self.executed_at),
            "affects_from": format_time(min([self.executed_at, *previous])),
            "revision": self.version,
            **({} if self.kind is TradeKind.TRADE else {name: value for name, value in movement.items() if value}),
        }


def gross_amount(quantity: Decimal, price: Decimal) -> Decimal:
    """Return quantity times price, rounded half up to 9 decimal places; the result may exceed `MAX_AMOUNT`.

    >>> gross_amount(Decimal(3), Decimal("0.005"))
    Decimal('0.015000000')
    """
    return to_places(CONTEXT.multiply(quantity, price), STATED_PLACES)


def require_not_in_future(executed_at: datetime, now: datetime) -> None:
    """Raise `Unprocessable` (`executed_at_in_future`) for a time more than 5 minutes after `now`."""
    if executed_at > now + MAX_CLOCK_LEAD:
        raise Unprocessable(
            "executed_at_in_future", "executed_at is more than 5 minutes in the future. Send the time of execution."
        )

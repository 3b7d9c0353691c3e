"""Cash entries: deposits, withdrawals, dividends and fees of a portfolio."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, assert_never

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes, to_attributes
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import MONEY_PLACES, ZERO, plain, to_places
from trimtab.portfolios.portfolio.keys import item_key, portfolio_id_in

CASH_PREFIX = "CASH#"
MAX_CASH_CORRECTIONS = 100


class CashType(StrEnum):
    """Kind of a cash entry."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    DIVIDEND = "dividend"
    INTEREST = "interest"
    FEE = "fee"
    TAX = "tax"

    @property
    def sign(self) -> int:
        """Sign of the change of the balance: 1 for cash that comes in, -1 for cash that goes out."""
        match self:
            case CashType.DEPOSIT | CashType.DIVIDEND | CashType.INTEREST:
                return 1
            case CashType.WITHDRAWAL | CashType.FEE | CashType.TAX:
                return -1
            case _:
                assert_never(self)

    @property
    def is_external(self) -> bool:
        """Return whether the owner moved the cash; the other types are income and cost of the portfolio."""
        match self:
            case CashType.DEPOSIT | CashType.WITHDRAWAL:
                return True
            case CashType.DIVIDEND | CashType.INTEREST | CashType.FEE | CashType.TAX:
                return False
            case _:
                assert_never(self)


def require_symbol_allowed(type: CashType, symbol: str | None) -> None:
    """Raise `Unprocessable` (`symbol_not_allowed`) where an asset is named for cash that the owner moved."""
    if symbol is not None and type.is_external:
        raise Unprocessable("symbol_not_allowed", f"A {type.value} has no symbol; only income and costs have one.")


class CashRevision(Struct, frozen=True, omit_defaults=True):
    """The values of a cash entry before a correction, with the author and the time (UTC) of the correction."""

    corrected_by: str
    corrected_at: datetime
    type: CashType
    amount: Decimal
    executed_at: datetime
    is_void: bool = False
    symbol: str | None = None


class CashEntry(Record, frozen=True):
    """Cash that came into a portfolio or went out, unique by `ref_id`; amounts are money, times are UTC.

    `amount` is positive, has up to 9 decimal places, and is kept as given. `executed_at` may be long before
    `created_at`; balances and returns follow from `executed_at`. `symbol` is the asset of an income or a cost, such as
    a dividend (gross) and the tax withheld on the dividend. `import_id` names the import that recorded the entry. A
    void entry changes nothing. `version` is the number of the present revision, `history` has the earlier revisions,
    oldest first. `balance` is stored by earlier releases only: the balance when the entry was recorded, which depended
    on the order of entry. `minor_units` are the decimals of money in the portfolio's currency; entries of earlier
    releases have 2 in every currency.
    """

    tenant_id: str
    portfolio_id: str
    ref_id: str
    type: CashType
    amount: Decimal
    executed_at: datetime
    created_at: datetime
    balance: Decimal | None = None
    is_void: bool = False
    history: tuple[CashRevision, ...] = ()
    symbol: str | None = None
    minor_units: int = MONEY_PLACES
    import_id: str | None = None

    @property
    def change(self) -> Decimal:
        """Change of the cash balance (money), negative where cash goes out; the only rounding of the amount."""
        return ZERO if self.is_void else self.type.sign * to_places(self.amount, self.minor_units)

    @property
    def is_external(self) -> bool:
        """Return whether the owner moved the cash."""
        return self.type.is_external

    def with_event(self, user_id: str) -> "CashEntry":
        """Return the entry with the event `cash.recorded`, addressed to the owner of the portfolio."""
        data = {
            "portfolio_id": self.portfolio_id,
            "user_id": user_id,
            "ref_id": self.ref_id,
            "type": self.type.value,
            "amount": plain(self.amount),
            "executed_at": format_time(self.executed_at),
        }
        return replace(self, events=(Event("cash.recorded", data),))

    def first_revision(self) -> "CashEntry":
        """Return the first revision of the entry, which is the response to a repeated request."""
        if not self.history:
            return self
        first = self.history[0]
        values = {name: getattr(first, name) for name in ("type", "amount", "executed_at", "symbol")}
        return replace(self, **values, is_void=False, version=1, history=())

    def correct(self, changes: Mapping[str, Any], user_id: str, *, by: str, now: datetime) -> "CashEntry":
        """Return the next revision with the changed values, by name; the same entry if no value differs.

        The event `cash.corrected` is addressed to the owner of the portfolio. Raises `Unprocessable`
        (`too_many_corrections`) after 100 corrections.
        """
        corrected = replace(self, **changes)
        if corrected == self:
            return self
        require_symbol_allowed(corrected.type, corrected.symbol)
        if len(self.history) >= MAX_CASH_CORRECTIONS:
            raise Unprocessable(
                "too_many_corrections", f"A cash entry accepts at most {MAX_CASH_CORRECTIONS} corrections."
            )
        revision = CashRevision(by, now, self.type, self.amount, self.executed_at, self.is_void, self.symbol)
        corrected = replace(corrected, version=self.version + 1, history=(*self.history, revision))
        data = {
            **corrected.with_event(user_id).events[0].data,
            "affects_from": format_time(min(self.executed_at, corrected.executed_at)),
            "is_void": corrected.is_void,
            "revision": corrected.version,
        }
        return replace(corrected, events=(Event("cash.corrected", data),))

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the entry's item."""
        attributes = to_attributes(self)
        return {
            **item_key(self.tenant_id, self.portfolio_id, CASH_PREFIX + self.ref_id),
            "by_time": f"{CASH_PREFIX}{format_time(self.executed_at)}#{self.ref_id}",
            **self.record_attributes(),
            "tenant_id": self.tenant_id,
            "type": self.type.value,
            "amount": plain(self.amount),
            "balance": None if self.balance is None else plain(self.balance),
            "symbol": self.symbol,
            "import_id": self.import_id,
            "is_void": self.is_void or None,
            "minor_units": None if self.minor_units == MONEY_PLACES else self.minor_units,
            "history": attributes["history"] or None,
            "executed_at": format_time(self.executed_at),
            "created_at": format_time(self.created_at),
            "updated_at": format_time(self.history[-1].corrected_at if self.history else self.created_at),
            **self.record_attributes(),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "CashEntry":
        """Return the entry of an item; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                attributes = {
                    **item,
                    "portfolio_id": portfolio_id_in(item["pk"]),
                    "ref_id": item["sk"].removeprefix(CASH_PREFIX),
                    "events": (),
                }
                return from_attributes(attributes, cls)
            case version:
                raise UnknownForm("cash entry", version)

"""The value of a portfolio at the end of one day, and its stored form."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from msgspec import Struct

from trimtab.contracts.stored_form import FORM, UnknownForm, form_version, pack, unpack
from trimtab.kernel.money import plain

BASIS = "end_of_day_utc_last_close"
CASH = "$cash"
"""The key of cash among weights; no symbol contains a dollar sign."""
DAY_PREFIX = "VALUE#"


class Flow(Struct, frozen=True):
    """The net external flow of a day in money: above zero put in, below zero taken out."""

    day: date
    amount: Decimal


class DailyValue(Struct, frozen=True):
    """A portfolio at the end of a day, with all state needed to continue the series from that day.

    `value` (unrounded, cash included), `cash` and the net external `flow` of the day are money. `weights` are percents
    of 4 places that sum to exactly 100, with cash under `CASH`; empty where the value is not above zero. `quantities`
    and `prices` (both 9 places) are keyed by held symbol; a price is that of one unit. `stale` names the symbols
    without a close of that day; `at_trade_price` the stale symbols valued at their last trade for lack of any close.
    """

    day: date
    value: Decimal
    cash: Decimal
    flow: Decimal
    weights: Mapping[str, Decimal]
    quantities: Mapping[str, Decimal]
    prices: Mapping[str, Decimal]
    stale: tuple[str, ...] = ()
    at_trade_price: tuple[str, ...] = ()

    def to_item(self, tenant_id: str, portfolio_id: str) -> dict[str, Any]:
        """Return the plain values of the day's item.

        Weights, quantities and prices are JSON texts keyed by symbol: as attributes of their own, hundreds of holdings
        over a year of days would take seconds to deserialise.
        """
        return {
            "pk": partition_of(tenant_id, portfolio_id),
            "sk": day_key(self.day),
            FORM: 1,
            "value": plain(self.value),
            "cash": plain(self.cash),
            "flow": plain(self.flow),
            "weights": _pack(self.weights),
            "quantities": _pack(self.quantities),
            "prices": _pack(self.prices),
            "stale": list(self.stale) or None,
            "at_trade_price": list(self.at_trade_price) or None,
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "DailyValue":
        """Return the daily value of an item; raises `UnknownForm`."""
        match form_version(item):
            case 1:
                return cls(
                    day=date.fromisoformat(item["sk"].removeprefix(DAY_PREFIX)),
                    value=Decimal(item["value"]),
                    cash=Decimal(item["cash"]),
                    flow=Decimal(item["flow"]),
                    weights=_unpack(item.get("weights")),
                    quantities=_unpack(item.get("quantities")),
                    prices=_unpack(item.get("prices")),
                    stale=tuple(item.get("stale", ())),
                    at_trade_price=tuple(item.get("at_trade_price", ())),
                )
            case version:
                raise UnknownForm("daily value", version)


def partition_of(tenant_id: str, portfolio_id: str) -> str:
    """Return the partition of a portfolio in the table `analytics`."""
    return f"T#{tenant_id}#P#{portfolio_id}"


def day_key(day: date) -> str:
    """Return the sort key of a day; sort keys order as the days do."""
    return DAY_PREFIX + day.isoformat()


def _pack(numbers: Mapping[str, Decimal]) -> str | None:
    return pack(numbers) if numbers else None


def _unpack(text: str | None) -> dict[str, Decimal]:
    return {} if text is None else unpack(text, dict[str, Decimal])

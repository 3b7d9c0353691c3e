"""The limit on the exposure of a user's open orders over all markets."""

from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from trimtab.betting.domain.totals import OrderTotals
from trimtab.kernel.errors import Unprocessable


class LimitedExposure(StrEnum):
    """The exposure that is limited: the sum of all exposures, or the sum of the worst cases of the markets."""

    GROSS = "gross"
    WORST_CASE = "worst_case"

    @property
    def total(self) -> str:
        """The name of the limited member of `OrderTotals`."""
        match self:
            case LimitedExposure.GROSS:
                return "open_exposure"
            case LimitedExposure.WORST_CASE:
                return "open_worst_case"
        assert_never(self)


class ExposureLimit(Struct, frozen=True):
    """The largest exposure of a user's open orders, in money."""

    limited: LimitedExposure
    maximum: Decimal

    def find_room(self, change: OrderTotals) -> Decimal | None:
        """Return the largest exposure before the change at which the change is allowed; None if any is.

        A change that does not raise the exposure is always allowed. Raises `Unprocessable` if the change alone exceeds
        the limit.

        >>> limit = ExposureLimit(LimitedExposure.GROSS, Decimal("100.00"))
        >>> limit.find_room(OrderTotals(open_exposure=Decimal("30.00")))
        Decimal('70.00')
        """
        increase: Decimal = getattr(change, self.limited.total)
        if increase <= 0:
            return None
        if increase > self.maximum:
            raise self.exceeded()
        return self.maximum - increase

    def exceeded(self) -> Unprocessable:
        """Return the refusal of a change that would exceed the limit."""
        match self.limited:
            case LimitedExposure.GROSS:
                exposure = "total exposure of the user's open orders"
            case LimitedExposure.WORST_CASE:
                exposure = "largest possible loss of the user's open orders, hedges netted,"
            case _:
                assert_never(self.limited)
        return Unprocessable("exposure_limit", f"The request would raise the {exposure} above {self.maximum}.")

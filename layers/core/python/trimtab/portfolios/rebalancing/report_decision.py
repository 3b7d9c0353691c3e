"""Decision about a drift report: whether the reported weights call for a rebalance, and the changes that follow.

Pure: the same portfolio, report and time always give the same outcome.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.contracts.stored_form import UnknownForm
from trimtab.kernel import ids
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, ZERO, count_decimals, plain
from trimtab.portfolios.portfolio.model import Portfolio, portfolio_id_of
from trimtab.portfolios.portfolio.policy import Band
from trimtab.portfolios.rebalancing.drift import (
    Leg,
    band_tolerance,
    compare_weights,
    legs_outside,
    measure_drift,
    plan_changes,
    tolerances_of,
)
from trimtab.portfolios.rebalancing.model import Reason, Rebalance, RebalanceStatus, rebalance_id_of
from trimtab.portfolios.rebalancing.reachable_targets import find_reachable_targets
from trimtab.portfolios.rebalancing.trade_limits import policy_limits

MAX_CLOCK_LEAD = timedelta(minutes=5)
NO_BAND = Band()
SMALLEST_CURABLE_DRIFT = Decimal("0.01")
"""Drift in percentage points below which a leg calls for no rebalance where the policy has a band."""


class DriftReport(Struct, frozen=True):
    """Reported weights (percent) of a user's drifted portfolio; `as_of` is the time of the weights, None if unknown.

    `normalised_sum` is the sum of the weights as sent, None where the weights were not corrected.
    """

    user_id: str
    name: str
    weights: Mapping[str, Decimal]
    as_of: datetime | None
    request_id: str
    normalised_sum: Decimal | None = None

    def request_hash(self, version: int = 1) -> str:
        """Return the versioned hash of the report; equal numbers have equal hashes however they are written."""
        match version:
            case 1:
                fields = {"user_id": self.user_id, "name": self.name, "weights": self.weights, "as_of": self.as_of}
                return ids.request_hash(version, fields)
        raise UnknownForm("request hash of a drift report", version)

    def matches(self, stored: Rebalance) -> bool:
        """Return whether the stored rebalance was requested by the same report."""
        return ids.is_same_request(stored.request_hash, self.request_hash)


def request_rebalance(
    tenant_id: str, report: DriftReport, as_of: datetime, now: datetime, portfolio: Portfolio | None = None
) -> Rebalance:
    """Return the first version of the rebalance that a report asks for.

    Without a portfolio (None) the rebalance is that of the portfolio that would be created under the reported name.
    """
    derived_id = portfolio_id_of(tenant_id, report.user_id, report.name)
    portfolio_id = portfolio.portfolio_id if portfolio else derived_id
    return Rebalance(
        tenant_id=tenant_id,
        portfolio_id=portfolio_id,
        rebalance_id=rebalance_id_of(portfolio_id, report.request_id),
        user_id=report.user_id,
        name=report.name,
        request_id=report.request_id,
        request_hash=report.request_hash(),
        weights=report.weights,
        as_of=as_of,
        as_of_given=report.as_of is not None,
        normalised_sum=report.normalised_sum,
        created_at=now,
        updated_at=now,
    )


def find_refusal(portfolio: Portfolio | None, report: Rebalance, now: datetime) -> Reason | None:
    """Return the reason to refuse a report, None where the report can be decided.

    The API answers with the reason at once; the queue worker records the reason as the outcome.
    """
    if portfolio is None:
        return Reason("unknown_portfolio", "The user has no portfolio of this name.")
    total = sum(report.weights.values(), ZERO)
    is_in_range = all(0 <= weight <= HUNDRED for weight in report.weights.values())
    is_too_fine = any(count_decimals(weight) > PERCENT_PLACES for weight in report.weights.values())
    newest = portfolio.last_report
    stale = f"The portfolio is stale until an operator resolves it: {portfolio.stale_reason}."
    rules = (
        (portfolio.status is PortfolioStatus.CLOSED, "closed", "The portfolio is closed. Create it again to open it."),
        (portfolio.status is PortfolioStatus.STALE, "stale", stale),
        (not is_in_range, "weight_out_of_range", "A weight is below 0 or above 100."),
        (is_too_fine, "too_many_decimals", f"Use at most {PERCENT_PLACES} decimals; input is not rounded."),
        (total != HUNDRED, "not_100", f"The weights sum to {plain(total)}; they must sum to exactly 100."),
        (not portfolio.allocation, "no_target", "The portfolio has no target allocation. Set a target first."),
        (report.as_of > now + MAX_CLOCK_LEAD, "as_of_in_future", "as_of is more than 5 minutes in the future."),
        (
            newest is not None and report.report_mark < newest,
            "stale_as_of",
            "A report with a later as_of has been applied already.",
        ),
    )
    return next((Reason(code, message) for applies, code, message in rules if applies), None)


def decide_report(portfolio: Portfolio | None, report: Rebalance, now: datetime) -> tuple[Rebalance, Portfolio | None]:
    """Return the outcome of a report, and the portfolio after the report (None where the portfolio does not change)."""
    refusal = find_refusal(portfolio, report, now)
    if portfolio is None or refusal is not None:
        assert refusal is not None  # noqa: S101 - a report without a portfolio is always refused
        is_superseded = refusal.code == "stale_as_of"
        status = RebalanceStatus.SUPERSEDED if is_superseded else RebalanceStatus.REJECTED
        return report.record_outcome(status, refusal, now), None
    status, reason, legs = evaluate_report(portfolio, report)
    is_rebalanced = status is RebalanceStatus.COMPLETED
    after = portfolio.record_report(now, report.report_mark, rebalanced=is_rebalanced)
    return report.record_outcome(status, reason, now, legs), after


def evaluate_report(portfolio: Portfolio, report: Rebalance) -> tuple[RebalanceStatus, Reason, tuple[Leg, ...]]:
    """Return whether the reported weights call for a rebalance, the reason, and the legs with their changes.

    An asset that the policy keeps from its target keeps its weight, and the others share the rest.
    """
    policy = portfolio.policy
    legs = compare_weights(report.weights, portfolio.allocation)
    tolerance = tolerances_of(legs, band_tolerance(policy.band or NO_BAND, policy.bands))
    reachable = find_reachable_targets(report.weights, portfolio.allocation, policy_limits(policy))
    to_reach = compare_weights(report.weights, reachable.weights)
    outside = tuple(leg for leg in legs_outside(to_reach, tolerance) if abs(leg.drift) >= _smallest_drift(portfolio))
    cooldown_end = portfolio.report_cooldown_end()
    details = _details(portfolio, legs, outside)
    if not outside:
        return RebalanceStatus.NO_ACTION, Reason("within_band", "Every weight is within its band.", details), legs
    if cooldown_end is not None and report.as_of < cooldown_end:
        details["cooldown_until"] = format_time(cooldown_end)
        reason = Reason("cooldown", "The cooldown after the last rebalance has not ended.", details)
        return RebalanceStatus.NO_ACTION, reason, legs
    changes = {leg.asset: leg.change for leg in plan_changes(to_reach, tolerance, policy.destination)}
    changed = tuple(replace(leg, change=changes.get(leg.asset, ZERO)) for leg in legs)
    reason = Reason("outside_band", "At least one weight is outside its band.", details)
    return RebalanceStatus.COMPLETED, reason, changed


def _smallest_drift(portfolio: Portfolio) -> Decimal:
    """Return the smallest drift that calls for a rebalance: with a band, a trade of less than 0.01 % cures nothing."""
    return SMALLEST_CURABLE_DRIFT if portfolio.policy.band else ZERO


def _details(portfolio: Portfolio, legs: tuple[Leg, ...], outside: tuple[Leg, ...]) -> dict[str, Any]:
    policy = portfolio.policy
    details: dict[str, Any] = {
        "revision": portfolio.revision,
        "drift": plain(measure_drift(legs)),
        "band": (policy.band or NO_BAND).to_details(),
        "destination": policy.destination.value,
        "outside": len(outside),
    }
    if policy.bands:
        details["bands"] = {asset: band.to_details() for asset, band in policy.bands.items()}
    if policy.restrictions:
        details["restrictions"] = {asset: restriction.value for asset, restriction in policy.restrictions.items()}
    return details

"""How a portfolio changes: versions count writes, revisions count what a client compares."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.samples import MINUTE, NOW, TARGET, percents, portfolio
from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.kernel.errors import Conflict
from trimtab.portfolios.portfolio.model import ReportMark, portfolio_id_of
from trimtab.portfolios.portfolio.policy import Band, BandType, Destination, Policy
from trimtab.portfolios.portfolio.policy_views import BandBody, PolicyBody
from trimtab.portfolios.portfolio.service import NewPortfolio

LATER = NOW + MINUTE
MARK = ReportMark(NOW, "r")
WANTED: dict[str, Any] = {
    "user_id": "1",
    "name": "default",
    "currency": "USD",
    "allocation": TARGET,
    "policy": Policy(),
    "cash": Decimal("1.5"),
}


@pytest.mark.parametrize(
    ("change", "event"),
    [
        ({"allocation": percents(cash=100)}, "portfolio.updated"),
        ({"policy": Policy(cooldown_seconds=1)}, "portfolio.updated"),
    ],
)
def test_a_change_is_a_new_version_and_a_new_revision(change: dict[str, Any], event: str) -> None:
    before = portfolio(version=3, revision=2)
    after = before.changed(LATER, **change)
    assert (after.version, after.revision, after.updated_at, after.created_at) == (4, 3, LATER, NOW)
    assert [it.type for it in after.events] == [event]
    assert {name: getattr(after, name) for name in change} == change


def test_a_new_target_ends_a_cooldown_and_a_new_policy_does_not() -> None:
    before = portfolio(rebalanced_at=NOW, policy=Policy(cooldown_seconds=60))
    assert before.cools_down_until() == LATER
    assert before.changed(NOW, policy=Policy(cooldown_seconds=30)).cools_down_until() == NOW + MINUTE / 2
    assert before.changed(NOW, allocation={"stocks": Decimal(100)}).cools_down_until() is None


def test_a_report_cools_down_reports_and_no_checks() -> None:
    policy = Policy(cooldown_seconds=60)
    reported = portfolio(policy=policy).advanced(LATER, MARK, rebalanced=True)
    assert (reported.cools_down_until(), reported.reports_cool_down_until()) == (None, LATER)
    traded = portfolio(policy=policy, rebalanced_at=LATER).advanced(LATER, MARK, rebalanced=True)
    assert (traded.cools_down_until(), traded.reports_cool_down_until()) == (LATER + MINUTE, LATER + MINUTE)
    retargeted = reported.changed(LATER, allocation={"stocks": Decimal(100)})
    assert retargeted.reports_cool_down_until() is None


def test_a_report_is_a_version_and_no_revision_and_carries_no_event() -> None:
    after = portfolio(events=portfolio().closed(NOW).events).advanced(LATER, MARK, rebalanced=True)
    assert (after.version, after.revision, after.events) == (2, 1, ())
    assert (after.last_report, after.reported_at, after.rebalanced_at) == (MARK, NOW, None)


def test_a_closed_portfolio_refuses_changes_until_it_is_reopened() -> None:
    closed = portfolio(last_report=MARK, rebalanced_at=NOW, reported_at=NOW).closed(LATER)
    assert (closed.status, closed.version, closed.revision) == (PortfolioStatus.CLOSED, 2, 2)
    assert [it.type for it in closed.events] == ["portfolio.closed"]
    with pytest.raises(Conflict, match="closed"):
        closed.changed(LATER, policy=Policy())
    wanted = portfolio(allocation=percents(cash=100), currency="EUR", cash=Decimal(5), created_at=LATER)
    reopened = closed.reopened(wanted)
    assert (reopened.status, reopened.version, reopened.revision) == (PortfolioStatus.ACTIVE, 3, 3)
    assert (reopened.allocation, reopened.currency, reopened.cash) == (percents(cash=100), "EUR", Decimal(5))
    assert (reopened.created_at, reopened.updated_at) == (NOW, LATER)
    assert (reopened.rebalanced_at, reopened.reported_at) == (None, None)
    assert reopened.last_report == MARK, "a report older than the newest applied one stays too old"
    assert [it.type for it in reopened.events] == ["portfolio.created"]


def test_a_portfolio_id_is_that_of_tenant_user_and_name() -> None:
    ids = {portfolio_id_of(*parts) for parts in (("a", "b", "c"), ("a", "c", "b"), ("ab", "", "c"), ("a", "b", "c"))}
    assert len(ids) == 3


def hash_with(**changes: Any) -> str:
    """The hash of a creation with these changes."""
    return NewPortfolio(**(WANTED | changes)).request_hash()


@pytest.mark.parametrize(
    "change",
    [
        {"allocation": percents(stocks="60.000", gold="10.0", bonds=30)},
        {"cash": Decimal("1.50")},
        {"policy": replace(Policy(), cooldown_seconds=0)},
    ],
)
def test_a_creation_is_the_same_however_its_numbers_are_written(change: dict[str, Any]) -> None:
    assert hash_with(**change) == hash_with()


def test_a_creation_is_the_same_however_the_numbers_of_its_policy_are_written() -> None:
    one, other = (Policy(Band(BandType.HYBRID, Decimal(text), Decimal(text))) for text in ("5", "5.00"))
    assert hash_with(policy=one) == hash_with(policy=other)


@pytest.mark.parametrize(
    "change",
    [
        {"allocation": {}},
        {"currency": "EUR"},
        {"cash": None},
        {"cash": Decimal(0)},
        {"policy": Policy(Band(BandType.HYBRID, Decimal(20), Decimal(1)))},
        {"policy": Policy(cooldown_seconds=1)},
        {"policy": Policy(destination=Destination.BAND_EDGE)},
    ],
)
def test_any_other_creation_has_another_hash(change: dict[str, Any]) -> None:
    assert hash_with(**change) != hash_with()


@pytest.mark.parametrize(
    ("body", "band"),
    [
        ({"type": "hybrid"}, Band(BandType.HYBRID, Decimal(20), Decimal(1))),
        ({"type": "hybrid", "value": 5, "points": "0.5"}, Band(BandType.HYBRID, Decimal(5), Decimal("0.5"))),
        ({"type": "hybrid", "value": 0, "points": 0}, Band(BandType.HYBRID)),
        ({"type": "absolute", "value": 5}, Band(BandType.ABSOLUTE, Decimal(5))),
        ({"type": "relative", "value": "12.5"}, Band(BandType.RELATIVE, Decimal("12.5"))),
    ],
)
def test_a_hybrid_band_is_20_percent_of_the_target_or_1_point_unless_told_otherwise(
    body: dict[str, Any], band: Band
) -> None:
    assert BandBody.model_validate(body).to_domain() == band


def test_a_policy_keeps_what_a_change_leaves_out_and_null_goes_back_to_the_default() -> None:
    before = Policy(Band(BandType.ABSOLUTE, Decimal(5)), Destination.BAND_EDGE, 60)
    cases: list[tuple[dict[str, Any], Policy]] = [
        ({}, before),
        ({"cooldown_seconds": 30}, replace(before, cooldown_seconds=30)),
        ({"band": None}, replace(before, band=None)),
        ({"destination": None}, replace(before, destination=Destination.TARGET)),
        ({"cooldown_seconds": None}, replace(before, cooldown_seconds=0)),
        ({"band": {"type": "relative", "value": 1}}, replace(before, band=Band(BandType.RELATIVE, Decimal(1)))),
    ]
    for body, after in cases:
        assert PolicyBody.model_validate(body).apply(before) == after

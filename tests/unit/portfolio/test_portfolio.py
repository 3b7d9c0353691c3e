"""Changes of a portfolio: versions count writes, revisions count the changes that a client sees."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from tests.unit.samples import MINUTE, NOW, TARGET, percents, portfolio
from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.kernel.errors import Conflict
from trimtab.portfolios.portfolio.model import ReportMark, portfolio_id_of
from trimtab.portfolios.portfolio.policy import Band, BandType, Destination, Policy, Restriction
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
    after = before.revise(LATER, **change)
    assert (after.version, after.revision, after.updated_at, after.created_at) == (4, 3, LATER, NOW)
    assert [each.type for each in after.events] == [event]
    assert {name: getattr(after, name) for name in change} == change


def test_a_new_target_ends_a_cooldown_and_a_new_policy_does_not() -> None:
    before = portfolio(rebalanced_at=NOW, policy=Policy(cooldown_seconds=60))
    assert before.cooldown_end() == LATER
    assert before.revise(NOW, policy=Policy(cooldown_seconds=30)).cooldown_end() == NOW + MINUTE / 2
    assert before.revise(NOW, allocation={"stocks": Decimal(100)}).cooldown_end() is None


def test_a_report_starts_a_cooldown_for_reports_but_not_for_checks() -> None:
    policy = Policy(cooldown_seconds=60)
    reported = portfolio(policy=policy).record_report(LATER, MARK, rebalanced=True)
    assert (reported.cooldown_end(), reported.report_cooldown_end()) == (None, LATER)
    traded = portfolio(policy=policy, rebalanced_at=LATER).record_report(LATER, MARK, rebalanced=True)
    assert (traded.cooldown_end(), traded.report_cooldown_end()) == (LATER + MINUTE, LATER + MINUTE)
    retargeted = reported.revise(LATER, allocation={"stocks": Decimal(100)})
    assert retargeted.report_cooldown_end() is None


def test_a_report_is_a_new_version_but_no_new_revision_and_has_no_event() -> None:
    after = portfolio(events=portfolio().close(NOW).events).record_report(LATER, MARK, rebalanced=True)
    assert (after.version, after.revision, after.events) == (2, 1, ())
    assert (after.last_report, after.reported_at, after.rebalanced_at) == (MARK, NOW, None)


def test_a_closed_portfolio_refuses_changes_until_it_is_reopened() -> None:
    closed = portfolio(last_report=MARK, rebalanced_at=NOW, reported_at=NOW).close(LATER)
    assert (closed.status, closed.version, closed.revision) == (PortfolioStatus.CLOSED, 2, 2)
    assert [event.type for event in closed.events] == ["portfolio.closed"]
    with pytest.raises(Conflict, match="closed"):
        closed.revise(LATER, policy=Policy())
    wanted = portfolio(allocation=percents(cash=100), currency="EUR", cash=Decimal(5), created_at=LATER)
    reopened = closed.reopen(wanted)
    assert (reopened.status, reopened.version, reopened.revision) == (PortfolioStatus.ACTIVE, 3, 3)
    assert (reopened.allocation, reopened.currency, reopened.cash) == (percents(cash=100), "EUR", Decimal(5))
    assert (reopened.created_at, reopened.updated_at) == (NOW, LATER)
    assert (reopened.rebalanced_at, reopened.reported_at) == (None, None)
    assert reopened.last_report == MARK, "a report older than the newest applied one stays too old"
    assert [event.type for event in reopened.events] == ["portfolio.created"]


def test_the_portfolio_id_follows_from_tenant_user_and_name() -> None:
    ids = {portfolio_id_of(*parts) for parts in (("a", "b", "c"), ("a", "c", "b"), ("ab", "", "c"), ("a", "b", "c"))}
    assert len(ids) == 3


def hash_with(**changes: Any) -> str:
    """Return the request hash of a creation with these changes."""
    return NewPortfolio(**(WANTED | changes)).request_hash()


@pytest.mark.parametrize(
    "change",
    [
        {"allocation": percents(stocks="60.000", gold="10.0", bonds=30)},
        {"cash": Decimal("1.50")},
        {"policy": replace(Policy(), cooldown_seconds=0)},
    ],
)
def test_equal_creations_have_equal_hashes_however_their_numbers_are_written(change: dict[str, Any]) -> None:
    assert hash_with(**change) == hash_with()


def test_equal_policies_have_equal_hashes_however_their_numbers_are_written() -> None:
    bands = [Band(BandType.HYBRID, Decimal(text), Decimal(text)) for text in ("5", "5.00")]
    one, other = (Policy(band, bands={"gold": band}) for band in bands)
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
        {"policy": Policy(bands={"gold": Band(BandType.ABSOLUTE, Decimal(5))})},
        {"policy": Policy(restrictions={"gold": Restriction.FROZEN})},
    ],
)
def test_a_different_creation_has_a_different_hash(change: dict[str, Any]) -> None:
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
def test_a_hybrid_band_is_by_default_20_percent_of_the_target_and_at_least_1_point(
    body: dict[str, Any], band: Band
) -> None:
    assert BandBody.model_validate(body).to_domain() == band


def test_a_policy_keeps_members_that_a_change_leaves_out_and_null_restores_the_default() -> None:
    before = Policy(Band(BandType.ABSOLUTE, Decimal(5)), Destination.BAND_EDGE, 60)
    cases: list[tuple[dict[str, Any], Policy]] = [
        ({}, before),
        ({"cooldown_seconds": 30}, replace(before, cooldown_seconds=30)),
        ({"band": None}, replace(before, band=None)),
        ({"destination": None}, replace(before, destination=Destination.TARGET)),
        ({"cooldown_seconds": None}, replace(before, cooldown_seconds=0)),
        ({"band": {"type": "relative", "value": 1}}, replace(before, band=Band(BandType.RELATIVE, Decimal(1)))),
        (
            {"bands": {"gold": {"type": "relative", "value": 1}}, "restrictions": {"gold": "no_buy"}},
            replace(
                before,
                bands={"gold": Band(BandType.RELATIVE, Decimal(1))},
                restrictions={"gold": Restriction.NO_BUY},
            ),
        ),
    ]
    for body, after in cases:
        assert PolicyBody.model_validate(body).apply(before) == after


@pytest.mark.parametrize(
    "body",
    [
        {"bands": {"go ld": {"type": "relative", "value": 1}}},
        {"bands": {"gold": {"type": "relative"}}},
        {"bands": {"$cash": {"type": "relative", "value": 1}}},
        {"restrictions": {"gold": "sell"}},
        {"restrictions": {"gold": None}},
        {"restrictions": {f"s{number}": "frozen" for number in range(91)}},
        {"bands": {f"s{number}": {"type": "hybrid"} for number in range(91)}},
    ],
)
def test_bands_and_restrictions_of_symbols_are_validated(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PolicyBody.model_validate(body)

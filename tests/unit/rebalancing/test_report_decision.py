"""Decision about a drift report: the first rule that applies decides, with its reason."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from msgspec.structs import replace

from tests.unit.samples import DRIFTED, MINUTE, NOW, TARGET, allocations, percents, portfolio, report
from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.kernel.money import plain
from trimtab.portfolios.portfolio.model import Portfolio, ReportMark
from trimtab.portfolios.portfolio.policy import Band, BandType, Destination, Policy, Restriction
from trimtab.portfolios.rebalancing.model import TRANSITIONS, Reason, Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.report_decision import DriftReport, decide_report, request_rebalance

FIVE_POINTS = Band(BandType.ABSOLUTE, Decimal(5))
DAY = 24 * 3600
COOLING = portfolio(policy=Policy(cooldown_seconds=DAY), rebalanced_at=NOW)
REPORTED = portfolio(policy=Policy(cooldown_seconds=DAY), reported_at=NOW, rebalanced_at=NOW - 2 * timedelta(days=1))
APPLIED = portfolio(last_report=ReportMark(NOW, report().rebalance_id))


def id_of(request_id: str) -> str:
    """Return the rebalance id of a request."""
    return report(request_id=request_id).rebalance_id


LOW, HIGH = sorted((report(request_id="r1"), report(request_id="r2")), key=lambda rebalance: rebalance.rebalance_id)

CASES: list[tuple[str, Portfolio | None, Rebalance, str, str]] = [
    ("no portfolio", None, report(), "REJECTED", "unknown_portfolio"),
    ("closed", portfolio(status=PortfolioStatus.CLOSED), report(), "REJECTED", "closed"),
    ("below 100", portfolio(), report(percents(stocks="99.9999")), "REJECTED", "not_100"),
    ("above 100", portfolio(), report(percents(stocks=100, bonds="0.0001")), "REJECTED", "not_100"),
    ("no target", portfolio(allocation={}), report(), "REJECTED", "no_target"),
    ("five minutes ahead", portfolio(), report(as_of=NOW + 5 * MINUTE), "COMPLETED", "outside_band"),
    ("further ahead", portfolio(), report(as_of=NOW + 5.001 * MINUTE), "REJECTED", "as_of_in_future"),
    ("older than applied", APPLIED, report(as_of=NOW - MINUTE), "SUPERSEDED", "stale_as_of"),
    ("as old, lower id", portfolio(last_report=HIGH.report_mark), LOW, "SUPERSEDED", "stale_as_of"),
    ("as old, higher id", portfolio(last_report=LOW.report_mark), HIGH, "COMPLETED", "outside_band"),
    ("newer", APPLIED, report(as_of=NOW + MINUTE), "COMPLETED", "outside_band"),
    ("on target", portfolio(), report(TARGET), "NO_ACTION", "within_band"),
    ("a hair off", portfolio(), report(percents(stocks="60.0001", bonds="29.9999", gold=10)), "COMPLETED", ""),
    (
        "at the band",
        portfolio(policy=Policy(FIVE_POINTS)),
        report(percents(stocks=65, bonds=25, gold=10)),
        "NO_ACTION",
        "within_band",
    ),
    (
        "past the band",
        portfolio(policy=Policy(FIVE_POINTS)),
        report(percents(stocks="65.0001", bonds="24.9999", gold=10)),
        "COMPLETED",
        "outside_band",
    ),
    ("cooling down", COOLING, report(as_of=NOW + timedelta(seconds=DAY - 1) - timedelta(days=1)), "NO_ACTION", ""),
    ("in cooldown but on target", COOLING, report(TARGET), "NO_ACTION", "within_band"),
    ("cooling since a report", REPORTED, report(), "NO_ACTION", "cooldown"),
    ("cooled down", replace(COOLING, rebalanced_at=NOW - timedelta(seconds=DAY)), report(), "COMPLETED", ""),
    ("a second early", replace(COOLING, rebalanced_at=NOW - timedelta(seconds=DAY - 1)), report(), "NO_ACTION", ""),
    ("never rebalanced", portfolio(policy=Policy(cooldown_seconds=DAY)), report(), "COMPLETED", "outside_band"),
    (
        "new target in cooldown",
        COOLING.revise(NOW, allocation={"stocks": Decimal(100)}),
        report(),
        "COMPLETED",
        "outside_band",
    ),
    ("new policy in cooldown", COOLING.revise(NOW, policy=COOLING.policy), report(), "NO_ACTION", "cooldown"),
]


@pytest.mark.parametrize(
    ("stored", "asked", "status", "code"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_first_rule_that_applies_decides(
    stored: Portfolio | None, asked: Rebalance, status: str, code: str
) -> None:
    outcome, after = decide_report(stored, asked, NOW)
    assert outcome.status == status
    assert outcome.reason is not None
    assert code in {outcome.reason.code, ""}
    assert outcome.reason.message.endswith(".")
    assert bool(outcome.transactions) is (status == "COMPLETED")
    (event,) = outcome.events
    assert event.type == ("rebalance.rejected" if status in {"REJECTED", "SUPERSEDED"} else "rebalance.completed")
    assert (event.data["status"], event.data["reason_code"]) == (status, outcome.reason.code)
    if status in {"REJECTED", "SUPERSEDED"}:
        assert after is None
        return
    assert stored is not None
    assert after is not None
    assert (after.version, after.revision, after.last_report) == (
        stored.version + 1,
        stored.revision,
        asked.report_mark,
    )
    assert after.rebalanced_at == stored.rebalanced_at, "a report is not traded"
    assert after.reported_at == (asked.as_of if status == "COMPLETED" else stored.reported_at)
    assert after.allocation == stored.allocation


def test_a_reason_has_the_numbers_behind_the_decision() -> None:
    policy = Policy(Band(BandType.HYBRID, Decimal(20), Decimal(1)), Destination.BAND_EDGE, DAY)
    outcome, _ = decide_report(portfolio(policy=policy, rebalanced_at=NOW - MINUTE, revision=7), report(), NOW)
    assert outcome.reason is not None
    assert dict(outcome.reason.details) == {
        "revision": 7,
        "drift": "10",
        "band": {"type": "hybrid", "value": "20", "points": "1"},
        "destination": "band_edge",
        "outside": 1,
        "cooldown_until": "2026-11-22T09:29:00.000000Z",
    }
    assert {leg.asset: (int(leg.weight), int(leg.target)) for leg in outcome.legs} == {
        "stocks": (70, 60),
        "bonds": (20, 30),
        "gold": (10, 10),
    }


def test_a_rebalance_to_the_edge_of_the_band_ends_at_the_edge() -> None:
    outcome, _ = decide_report(portfolio(policy=Policy(FIVE_POINTS, Destination.BAND_EDGE)), report(), NOW)
    assert [(each.action.value, each.asset, int(each.percent)) for each in outcome.transactions] == [
        ("SELL", "stocks", 5),
        ("BUY", "bonds", 5),
    ]


@given(allocations(zeros=True), allocations(zeros=False))
def test_the_same_portfolio_report_and_time_give_the_same_outcome(
    drifted: dict[str, Decimal], target: dict[str, Decimal]
) -> None:
    stored = portfolio(allocation=target)
    first, again = (decide_report(stored, report(dict(sorted(drifted.items(), reverse=n))), NOW) for n in (False, True))
    assert first == again
    assert (first[0].status is RebalanceStatus.NO_ACTION) == (not first[0].transactions)


STATES = list(RebalanceStatus)


@pytest.mark.parametrize(
    ("dust", "status"), [("0.0001", RebalanceStatus.NO_ACTION), ("0.01", RebalanceStatus.COMPLETED)]
)
def test_a_trace_of_an_unknown_asset_calls_for_no_transactions(dust: str, status: RebalanceStatus) -> None:
    held = portfolio(allocation=percents(A=50, B=50), policy=Policy(band=Band(BandType.RELATIVE, Decimal(20))))
    weights = {"A": 50 - Decimal(dust), "B": Decimal(50), "DUST": Decimal(dust)}
    outcome, _ = decide_report(held, report(weights), NOW)
    assert outcome.status is status


@pytest.mark.parametrize("start", STATES)
@pytest.mark.parametrize("end", STATES)
def test_a_rebalance_makes_only_the_transitions_of_the_table(start: RebalanceStatus, end: RebalanceStatus) -> None:
    rebalance = replace(report(), status=start)
    if end in TRANSITIONS.get(start, frozenset()) or end is start:  # a write of the journal keeps the status
        assert rebalance.transition(end, NOW).status is end
    else:
        with pytest.raises(ValueError, match="transition"):
            rebalance.transition(end, NOW)
    if start is not RebalanceStatus.REQUESTED or end is start:
        with pytest.raises(ValueError, match="transition"):
            rebalance.record_outcome(end, Reason("code", "A sentence."), NOW)


def hash_with(**changes: Any) -> str:
    """Return the request hash of a report with these changes."""
    parts: dict[str, Any] = {"user_id": "1", "name": "default", "weights": DRIFTED, "as_of": NOW, "request_id": "r1"}
    return DriftReport(**(parts | changes)).request_hash()


def test_equal_reports_have_equal_hashes_however_their_numbers_are_written() -> None:
    assert (
        hash_with()
        == hash_with(weights=percents(gold="10.0", stocks="70.0000", bonds=20))
        == hash_with(request_id="other")
    )


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "2"},
        {"name": "other"},
        {"as_of": None},
        {"as_of": NOW + MINUTE / 60_000},
        {"weights": percents(stocks=70, bonds=30)},
        {"weights": percents(stocks=70, bonds=20, gold="9.9999")},
        {"weights": percents(stocks=70, bonds=20, gold=10, cash=0)},
    ],
)
def test_a_different_report_has_a_different_hash(change: dict[str, Any]) -> None:
    assert hash_with(**change) != hash_with()


def test_the_rebalance_id_follows_from_the_portfolio_and_the_request_id() -> None:
    assert report().rebalance_id == report(percents(cash=100), NOW + MINUTE).rebalance_id
    assert report().rebalance_id != report(request_id="r2").rebalance_id
    other = request_rebalance("acme", DriftReport("1", "default", DRIFTED, NOW, "r1"), NOW, NOW)
    assert other.rebalance_id != report().rebalance_id


def test_the_wait_doubles_with_each_resend_until_the_sweeper_gives_up() -> None:
    rebalance, waits = report(), []
    for _ in range(3):
        assert not rebalance.is_out_of_resends
        waits.append(rebalance.due_at - rebalance.updated_at)
        assert not rebalance.is_overdue(rebalance.due_at - timedelta(microseconds=1))
        assert rebalance.is_overdue(rebalance.due_at)
        rebalance = rebalance.count_resend(rebalance.due_at)
    assert waits == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE]
    assert rebalance.is_out_of_resends
    assert rebalance.due_at - rebalance.updated_at == 40 * MINUTE
    stuck = rebalance.mark_stuck(rebalance.due_at)
    assert not stuck.is_overdue(NOW + timedelta(days=365))
    assert [event.type for event in stuck.events] == ["rebalance.stuck"]
    assert stuck.version == 5
    late, _ = decide_report(portfolio(), stuck, NOW)
    assert late.status is RebalanceStatus.COMPLETED


def test_bands_of_single_assets_and_restrictions_hold_for_drift_reports() -> None:
    narrow = Policy(FIVE_POINTS, bands={"gold": Band(BandType.ABSOLUTE, Decimal(1))})
    outcome, _ = decide_report(portfolio(policy=narrow), report(percents(stocks=59, bonds=29, gold=12)), NOW)
    assert [(each.action.value, each.asset, int(each.percent)) for each in outcome.transactions] == [
        ("SELL", "gold", 2),
        ("BUY", "bonds", 1),
        ("BUY", "stocks", 1),
    ]
    # Gold keeps its 20: stocks and bonds share the other 80 by 60 to 30.
    frozen = Policy(FIVE_POINTS, restrictions={"gold": Restriction.FROZEN})
    outcome, _ = decide_report(portfolio(policy=frozen), report(percents(stocks=70, bonds=10, gold=20)), NOW)
    assert [(each.action.value, each.asset, plain(each.percent)) for each in outcome.transactions] == [
        ("SELL", "stocks", "16.6667"),
        ("BUY", "bonds", "16.6667"),
    ]
    calm, _ = decide_report(portfolio(policy=frozen), report(percents(stocks=54, bonds=26, gold=20)), NOW)
    assert (calm.status, calm.reason and calm.reason.code) == ("NO_ACTION", "within_band")

"""The decision about a drift report: one rule decides, and says why."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from msgspec.structs import replace

from tests.unit.samples import DRIFTED, MINUTE, NOW, TARGET, allocations, percents, portfolio, report
from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.portfolios.portfolio.model import Portfolio, ReportMark
from trimtab.portfolios.portfolio.policy import Band, BandType, Destination, Policy
from trimtab.portfolios.rebalancing.model import TRANSITIONS, Rebalance, RebalanceStatus, Report, Why, decide, requested

FIVE_POINTS = Band(BandType.ABSOLUTE, Decimal(5))
DAY = 24 * 3600
COOLING = portfolio(policy=Policy(cooldown_seconds=DAY), rebalanced_at=NOW)
REPORTED = portfolio(policy=Policy(cooldown_seconds=DAY), reported_at=NOW, rebalanced_at=NOW - 2 * timedelta(days=1))
APPLIED = portfolio(last_report=ReportMark(NOW, report().rebalance_id))


def id_of(request_id: str) -> str:
    """The rebalance id of that request."""
    return report(request_id=request_id).rebalance_id


LOW, HIGH = sorted((report(request_id="r1"), report(request_id="r2")), key=lambda it: it.rebalance_id)

CASES: list[tuple[str, Portfolio | None, Rebalance, str, str]] = [
    ("no portfolio", None, report(), "REJECTED", "unknown_portfolio"),
    ("closed", portfolio(status=PortfolioStatus.CLOSED), report(), "REJECTED", "closed"),
    ("below 100", portfolio(), report(percents(stocks="99.9999")), "REJECTED", "not_100"),
    ("above 100", portfolio(), report(percents(stocks=100, bonds="0.0001")), "REJECTED", "not_100"),
    ("no target", portfolio(allocation={}), report(), "REJECTED", "no_target"),
    ("five minutes ahead", portfolio(), report(as_of=NOW + 5 * MINUTE), "COMPLETED", "outside_band"),
    ("further ahead", portfolio(), report(as_of=NOW + 5.001 * MINUTE), "REJECTED", "as_of_in_future"),
    ("older than applied", APPLIED, report(as_of=NOW - MINUTE), "SUPERSEDED", "stale_as_of"),
    ("as old, lower id", portfolio(last_report=HIGH.mark), LOW, "SUPERSEDED", "stale_as_of"),
    ("as old, higher id", portfolio(last_report=LOW.mark), HIGH, "COMPLETED", "outside_band"),
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
        COOLING.changed(NOW, allocation={"stocks": Decimal(100)}),
        report(),
        "COMPLETED",
        "outside_band",
    ),
    ("new policy in cooldown", COOLING.changed(NOW, policy=COOLING.policy), report(), "NO_ACTION", "cooldown"),
]


@pytest.mark.parametrize(("it", "asked", "status", "rule"), [case[1:] for case in CASES], ids=[it[0] for it in CASES])
def test_one_rule_decides(it: Portfolio | None, asked: Rebalance, status: str, rule: str) -> None:
    outcome, after = decide(it, asked, NOW)
    assert outcome.status == status
    assert outcome.why is not None
    assert rule in {outcome.why.rule, ""}
    assert outcome.why.detail.endswith(".")
    assert bool(outcome.transactions) is (status == "COMPLETED")
    (event,) = outcome.events
    assert event.type == ("rebalance.rejected" if status in {"REJECTED", "SUPERSEDED"} else "rebalance.completed")
    assert (event.data["status"], event.data["rule"]) == (status, outcome.why.rule)
    if status in {"REJECTED", "SUPERSEDED"}:
        assert after is None
        return
    assert it is not None
    assert after is not None
    assert (after.version, after.revision, after.last_report) == (it.version + 1, it.revision, asked.mark)
    assert after.rebalanced_at == it.rebalanced_at, "a report is not traded"
    assert after.reported_at == (asked.as_of if status == "COMPLETED" else it.reported_at)
    assert after.allocation == it.allocation


def test_a_why_keeps_the_numbers_that_decided() -> None:
    policy = Policy(Band(BandType.HYBRID, Decimal(20), Decimal(1)), Destination.BAND_EDGE, DAY)
    outcome, _ = decide(portfolio(policy=policy, rebalanced_at=NOW - MINUTE, revision=7), report(), NOW)
    assert outcome.why is not None
    assert dict(outcome.why.facts) == {
        "revision": 7,
        "drift": "10",
        "band": {"type": "hybrid", "value": "20", "points": "1"},
        "destination": "band_edge",
        "outside": 1,
        "cooldown_until": "2026-11-22T09:29:00.000000Z",
    }
    assert {leg.asset: (int(leg.drifted), int(leg.target)) for leg in outcome.legs} == {
        "stocks": (70, 60),
        "bonds": (20, 30),
        "gold": (10, 10),
    }


def test_a_rebalance_to_the_bands_edge_stops_there() -> None:
    outcome, _ = decide(portfolio(policy=Policy(FIVE_POINTS, Destination.BAND_EDGE)), report(), NOW)
    assert [(it.action.value, it.asset, int(it.percent)) for it in outcome.transactions] == [
        ("SELL", "stocks", 5),
        ("BUY", "bonds", 5),
    ]


@given(allocations(zeros=True), allocations(zeros=False))
def test_the_same_portfolio_report_and_time_give_the_same_outcome(
    drifted: dict[str, Decimal], target: dict[str, Decimal]
) -> None:
    it = portfolio(allocation=target)
    first, again = (decide(it, report(dict(sorted(drifted.items(), reverse=n))), NOW) for n in (False, True))
    assert first == again
    assert (first[0].status is RebalanceStatus.NO_ACTION) == (not first[0].transactions)


STATES = list(RebalanceStatus)


@pytest.mark.parametrize("start", STATES)
@pytest.mark.parametrize("end", STATES)
def test_a_rebalance_goes_only_where_the_table_lets_it(start: RebalanceStatus, end: RebalanceStatus) -> None:
    it = replace(report(), status=start)
    if end in TRANSITIONS.get(start, frozenset()) or end is start:  # a step within a state is one of its journal
        assert it.moved_to(end, NOW).status is end
    else:
        with pytest.raises(ValueError, match="does not go from"):
            it.moved_to(end, NOW)
    if start is not RebalanceStatus.REQUESTED or end is start:
        with pytest.raises(ValueError, match="does not go from"):
            it.decided(end, Why("rule", "It is so."), NOW)


def body(**changes: Any) -> str:
    """The hash of a report with these changes."""
    parts: dict[str, Any] = {"user_id": "1", "name": "default", "weights": DRIFTED, "as_of": NOW, "request_id": "r1"}
    return Report(**(parts | changes)).hash()


def test_a_report_is_the_same_however_its_numbers_are_written() -> None:
    assert body() == body(weights=percents(gold="10.0", stocks="70.0000", bonds=20)) == body(request_id="other")


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
def test_any_other_body_is_another_report(change: dict[str, Any]) -> None:
    assert body(**change) != body()


def test_ids_are_those_of_the_portfolio_and_the_request() -> None:
    assert report().rebalance_id == report(percents(cash=100), NOW + MINUTE).rebalance_id
    assert report().rebalance_id != report(request_id="r2").rebalance_id
    other = requested("acme", Report("1", "default", DRIFTED, NOW, "r1"), NOW, NOW)
    assert other.rebalance_id != report().rebalance_id


def test_resends_wait_twice_as_long_each_time_and_end() -> None:
    it, waits = report(), []
    for _ in range(3):
        assert not it.is_out_of_resends
        waits.append(it.due_at - it.updated_at)
        assert not it.is_overdue(it.due_at - timedelta(microseconds=1))
        assert it.is_overdue(it.due_at)
        it = it.count_resend(it.due_at)
    assert waits == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE]
    assert it.is_out_of_resends
    assert it.due_at - it.updated_at == 40 * MINUTE
    stuck = it.mark_stuck(it.due_at)
    assert not stuck.is_overdue(NOW + timedelta(days=365))
    assert [event.type for event in stuck.events] == ["rebalance.stuck"]
    assert stuck.version == 5
    late, _ = decide(portfolio(), stuck, NOW)
    assert late.status is RebalanceStatus.COMPLETED

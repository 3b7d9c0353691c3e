"""Golden items of portfolios: the items of each release are read for ever, and this release writes them unchanged."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from trimtab.contracts.events import Event
from trimtab.contracts.stored_form import UnknownForm
from trimtab.portfolios.portfolio.brake import Brake, Quarantine
from trimtab.portfolios.portfolio.cash_rule import CashRule, CashTracking
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType
from trimtab.portfolios.portfolio.lock import Lock
from trimtab.portfolios.portfolio.model import Portfolio, ReportMark, portfolio_id_of
from trimtab.portfolios.portfolio.names import claim_of, claimed_by, portfolio_in
from trimtab.portfolios.portfolio.policy import (
    Automation,
    Band,
    BandType,
    CalendarRule,
    Destination,
    Frequency,
    Mode,
    OnDeposit,
    OnIncomplete,
    Policy,
    Restriction,
)
from trimtab.portfolios.portfolio.service import Investment, NewPortfolio
from trimtab.portfolios.portfolio.traded_today import TradedToday
from trimtab.portfolios.portfolio.watch_state import EvaluationCause, Trigger, WatchState

GOLDEN = Path(__file__).parents[2] / "golden/portfolio"
TIME = datetime(2026, 1, 2, 15, 30, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVERY_MEMBER = Policy(
    band=Band(BandType.HYBRID, Decimal(25), Decimal("1.5")),
    destination=Destination.BAND_EDGE,
    cooldown_seconds=3600,
    automation=Automation.MANUAL,
    total_drift=Decimal("7.5"),
    calendar=CalendarRule(Frequency.QUARTERLY, day=15, month=2),
    mode=Mode.INVEST_CASH,
    minimum_trade=Decimal("25.50"),
    whole_shares=True,
    cash_target=Decimal(5),
    cash_buffer=Decimal("0.5"),
    max_slippage=Decimal(2),
    max_quote_age_seconds=900,
    on_partial_fill=OnIncomplete.KEEP,
    on_cancel=OnIncomplete.KEEP,
)
NEW = NewPortfolio(
    user_id="1",
    name="default",
    currency="USD",
    allocation={"stocks": Decimal(60), "bonds": Decimal(30), "gold": Decimal(10)},
    policy=Policy(),
    cash=None,
)
CREATED = Portfolio(
    tenant_id="demo",
    portfolio_id="11111111-2222-5333-8444-555555555555",
    user_id="1",
    name="default",
    currency="USD",
    allocation=NEW.allocation,
    policy=Policy(),
    cash=None,
    request_hash=NEW.request_hash(),
    created_at=TIME,
    updated_at=TIME,
)
IN_USE = replace(
    CREATED,
    allocation={"AAPL": Decimal("33.3333"), "VWCE.DE": Decimal("66.6667")},
    policy=EVERY_MEMBER,
    cash=Decimal("1234.50"),
    version=17,
    revision=4,
    updated_at=TIME + 2 * HOUR,
    last_report=ReportMark(TIME + HOUR, "66666666-7777-5888-8999-000000000000"),
    rebalanced_at=TIME + HOUR,
    reported_at=TIME,
    holdings={
        "AAPL": Holding(
            "AAPL", SecurityType.STOCK, Decimal("12.5"), Decimal("1520.35"), Decimal("-3.2"), (TIME, "t-7"), 3
        )
    },
    lock=Lock("aaaaaaaa-bbbb-5ccc-8ddd-eeeeeeeeeeee", "AAPL is being recalculated", TIME + 24 * HOUR),
    watch_state=WatchState(
        epoch_started=5,
        epoch_done=4,
        epoch_decided=3,
        watched_symbols=("AAPL", "VWCE.DE"),
        evaluation_due=EvaluationCause.TARGET,
        evaluation_pending=EvaluationCause.HOLDINGS,
        calendar_at=TIME + 72 * HOUR,
        deferred_trigger=Trigger.SCHEDULE,
        retry_at=TIME + 3 * HOUR,
    ),
)
_STALE_DATA = {"portfolio_id": CREATED.portfolio_id, "user_id": "1", "name": "default"}
STALE_SINCE = CREATED.mark_stale("fees exceed the cash", TIME + HOUR)
STALE = replace(
    STALE_SINCE,
    stale_since=None,
    events=(Event("portfolio.stale", {**_STALE_DATA, "reason": "fees exceed the cash"}),),
)
BACKING_OFF = replace(
    CREATED,
    brake=Brake(
        failures=2,
        failing_since=TIME,
        failed_rebalance_id="66666666-7777-5888-8999-000000000000",
        blocked_until=TIME + HOUR,
        quarantine={
            "AAPL": Quarantine(
                Restriction.NO_BUY,
                "not_tradable",
                "66666666-7777-5888-8999-000000000000",
                TIME,
                TIME + 24 * HOUR,
            )
        },
    ),
)
INVESTING = replace(
    CREATED, policy=Policy(on_deposit=OnDeposit.INVEST), watch_state=WatchState(epoch_started=1, is_deposit_due=True)
)
LIMITED = replace(
    CREATED,
    policy=Policy(
        bands={
            "AAPL": Band(BandType.RELATIVE, Decimal("12.5")),
            "MSFT": Band(BandType.HYBRID, Decimal(20), Decimal(1)),
        },
        restrictions={"AAPL": Restriction.NO_SELL, "TSLA": Restriction.FROZEN},
    ),
)
CHANGED = replace(
    CREATED, watch_state=WatchState(evaluation_due=EvaluationCause.HOLDINGS, changed_at=TIME + timedelta(seconds=1))
)
CONTROLLED = replace(
    CREATED,
    policy=Policy(
        price_collar=Decimal(5),
        max_order_notional=Decimal("500.50"),
        max_daily_turnover=Decimal(50),
        max_runs_per_day=3,
    ),
    traded_today=TradedToday(date(2026, 1, 2), Decimal("1234.56"), 2),
)
TRACKING_CASH = replace(
    CREATED,
    cash=Decimal("-12.50"),
    cash_rule=CashRule(CashTracking.MARGIN, newest_at=TIME + HOUR),
)
CASH_SINCE = replace(CREATED, cash=Decimal(100), cash_rule=CashRule(since=TIME, newest_at=TIME + HOUR))
RECORDS = {
    "portfolio": CREATED,
    "portfolio_in_use": IN_USE,
    "portfolio_stale": STALE,
    "portfolio_stale_since": STALE_SINCE,
    "portfolio_backing_off": BACKING_OFF,
    "portfolio_investing": INVESTING,
    "portfolio_with_restrictions": LIMITED,
    "portfolio_changed": CHANGED,
    "portfolio_controlled": CONTROLLED,
    "portfolio_tracking_cash": TRACKING_CASH,
    "portfolio_cash_since": CASH_SINCE,
}


def golden(name: str) -> dict[str, Any]:
    """Return a golden item."""
    item: dict[str, Any] = json.loads((GOLDEN / f"{name}.v1.json").read_text())
    return item


@pytest.mark.parametrize("name", RECORDS)
def test_a_golden_item_is_read_and_written_unchanged(name: str) -> None:
    record = RECORDS[name]
    assert Portfolio.from_item(golden(name)) == record
    written = {name: value for name, value in record.to_item().items() if value is not None}
    assert json.loads(json.dumps(written)) == golden(name)
    assert replace(Portfolio.from_item(golden(name)), events=record.events).to_item() == record.to_item()


def test_every_golden_item_is_tested() -> None:
    assert {path.name.removesuffix(".v1.json") for path in GOLDEN.glob("portfolio*.json")} == set(RECORDS)


@pytest.mark.parametrize("name", ["reported_at", "lock_until", "retry_at", "watched_symbols", "policy"])
def test_an_item_without_a_later_added_attribute_is_read_with_the_default(name: str) -> None:
    """An added attribute is like an attribute that an older item does not have."""
    item = golden("portfolio_in_use")
    del item[name]
    found = Portfolio.from_item(item)
    assert (found.version, found.holdings) == (IN_USE.version, IN_USE.holdings)
    assert found != IN_USE


def test_cash_of_an_earlier_release_keeps_its_balance_and_counts_trades_as_recorded() -> None:
    found = Portfolio.from_item(golden("portfolio_in_use"))
    assert (found.cash, found.cash_rule) == (Decimal("1234.50"), CashRule())
    assert [found.cash_rule.counts(TIME, as_recorded=each) for each in (True, False)] == [True, False]


def test_unknown_members_of_a_newer_item_are_ignored() -> None:
    item = {**golden("portfolio_in_use"), "risk": "low"}
    item["policy"] = json.dumps({**json.loads(item["policy"]), "lot_size": 100})
    assert Portfolio.from_item(item) == IN_USE


def test_an_item_of_an_unknown_form_is_refused() -> None:
    with pytest.raises(UnknownForm, match="portfolio"):
        Portfolio.from_item({**golden("portfolio"), "v": 2})


def test_the_request_hash_of_version_1_never_changes() -> None:
    """A stored portfolio keeps the hash, so another hash of the same request would turn every retry into a conflict."""
    assert NEW.request_hash() == "1:4cc3cbdff06d53297b777739829d7d49"
    assert replace(NEW, policy=EVERY_MEMBER, cash=Decimal(5)).request_hash() == "1:a7eb85df67499309dd4840ccd1e4a5b7"
    assert NEW.matches(CREATED)
    assert not replace(NEW, currency="EUR").matches(CREATED)


def test_a_request_hash_of_an_unknown_version_is_refused() -> None:
    with pytest.raises(UnknownForm, match="request hash"):
        NEW.matches(replace(CREATED, request_hash="2:0"))


def test_the_claim_of_a_later_name_is_written_unchanged_and_is_no_portfolio() -> None:
    claim = claim_of(replace(CREATED, portfolio_id=portfolio_id_of("demo", "1", "default"), name="José's pension"))
    assert claim is not None
    written = {name: value for name, value in claim.to_item().items() if value is not None}
    golden_item = json.loads((GOLDEN / "name_claim.v1.json").read_text())
    assert (written, claimed_by(golden_item)) == (golden_item, portfolio_id_of("demo", "1", "default"))
    assert portfolio_in(golden_item) is None
    assert claim_of(replace(CREATED, portfolio_id=portfolio_id_of("demo", "1", "default"))) is None


def test_the_request_hash_covers_the_investments() -> None:
    investments = (Investment("AAPL", Decimal("10.0")), Investment("MSFT", Decimal(1), Decimal("99.5")))
    assert replace(NEW, investments=investments).request_hash() == "1:1f74a8b5a38b19bfc1be298f702dc0c2"

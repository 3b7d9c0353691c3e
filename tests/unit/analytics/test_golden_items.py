"""Golden items of analytics: stored forms of this release, read and written by every later release."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from trimtab.analytics.domain.alerts import AlertKind, AlertRule, Episode
from trimtab.analytics.domain.daily_value import CASH, DailyValue
from trimtab.analytics.domain.series_state import SeriesState
from trimtab.analytics.domain.windows import Span
from trimtab.analytics.schemas.charts import ChartRequest, ChartResource
from trimtab.analytics.service.analysis import WindowRequest
from trimtab.charts.svg import Theme
from trimtab.contracts.events import Event, unpack_events
from trimtab.contracts.messages import ReportRequested, ValuationRequested, read_body
from trimtab.contracts.stored_form import UnknownForm
from trimtab.kernel.errors import Forbidden
from trimtab.runtime.dynamodb.client import deserialize, serialize

GOLDEN = Path(__file__).parents[2] / "golden/analytics"
PORTFOLIO_ID = "265076e4-f1a0-5d1f-99a9-59a8b0e03f01"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
VALUE = DailyValue(
    day=date(2026, 11, 20),
    value=Decimal("10150.000000001"),
    cash=Decimal("8500.00"),
    flow=Decimal("-250.50"),
    weights={"AAPL": Decimal("16.2562"), CASH: Decimal("83.7438")},
    quantities={"AAPL": Decimal(10), "MSFT": Decimal("0.000000001")},
    prices={"AAPL": Decimal(165), "MSFT": Decimal("0.000000012")},
    stale=("MSFT",),
    at_trade_price=("MSFT",),
)
STATE = SeriesState(
    tenant_id="demo",
    portfolio_id=PORTFOLIO_ID,
    first_day=date(2026, 11, 19),
    last_day=date(2026, 11, 20),
    updated_at=NOON,
    version=7,
    rules=(
        AlertRule("fall", AlertKind.DRAWDOWN_ABOVE, Decimal("12.5")),
        AlertRule("needs-operator", AlertKind.STALE),
    ),
    episodes={
        "fall": Episode("fall", 2, True, NOON, None, NOON, Decimal("15.2500")),
        "needs-operator": Episode("needs-operator", measured_at=NOON),
    },
    events=(Event("alert.raised", {"rule": "fall"}),),
)
CHART = ChartRequest(
    ChartResource.PERFORMANCE, WindowRequest(Span.CUSTOM, date(2026, 1, 2), date(2026, 11, 20), "SPY"), Theme.DARK
)


def golden(name: str) -> Any:
    """Return a golden item."""
    return json.loads((GOLDEN / f"{name}.v1.json").read_text())


def stored(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item as DynamoDB returns it."""
    return deserialize(serialize(item))


def test_a_daily_value_is_read_and_written_as_stored() -> None:
    assert DailyValue.from_item(golden("daily_value")) == VALUE
    assert stored(VALUE.to_item("demo", PORTFOLIO_ID)) == golden("daily_value")


def test_a_series_state_is_read_and_written_as_stored() -> None:
    item = golden("series_state")
    assert SeriesState.from_item(item) == STATE
    assert unpack_events(item["events"]) == STATE.events
    assert stored(STATE.to_item()) == item


def test_the_valued_version_is_read_and_written_as_stored() -> None:
    valued = STATE.cover(31, date(2026, 11, 19))
    assert SeriesState.from_item(stored(golden("series_state_valued"))) == valued
    assert stored(valued.to_item()) == golden("series_state_valued")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("valuation_requested", ValuationRequested(tenant_id="demo", portfolio_id="p", since=date(2026, 11, 2))),
        (
            "valuation_requested_unless_valued",
            ValuationRequested(tenant_id="demo", portfolio_id="p", since=date(2026, 11, 2), unless_valued=True),
        ),
        ("report_requested", ReportRequested(tenant_id="demo", portfolio_id="p", month="2026-10")),
    ],
)
def test_a_message_is_read_and_written_as_sent(name: str, message: ValuationRequested | ReportRequested) -> None:
    assert read_body(json.dumps(golden(name)), type(message)) == message
    assert json.loads(message.to_body()) == golden(name)


def test_the_payload_of_a_link_is_read_and_written_as_signed() -> None:
    assert ChartRequest.from_payload(golden("link_payload")) == CHART
    assert CHART.to_payload() == golden("link_payload")


def test_members_that_a_later_release_adds_are_ignored_and_missing_members_get_their_default() -> None:
    item = golden("series_state")
    item["added_later"] = "x"
    item["episodes"][0]["added_later"] = "x"
    item["rules"][0]["added_later"] = {"nested": "x"}
    assert SeriesState.from_item(item) == STATE
    for optional in ("is_open", "opened_at", "measured_at", "peak", "number"):
        item["episodes"][0].pop(optional)
    assert SeriesState.from_item(item).episodes["fall"] == Episode("fall")
    value = golden("daily_value")
    assert DailyValue.from_item({**value, "added_later": "x"}) == VALUE
    assert DailyValue.from_item({name: value[name] for name in value if name not in {"stale", "weights"}}).stale == ()


def test_a_hysteresis_is_stored_with_its_rule() -> None:
    rule = AlertRule("fall", AlertKind.DRAWDOWN_ABOVE, Decimal("12.5"), Decimal("0.5"))
    item = golden("series_state")
    item["rules"][0]["hysteresis"] = "0.5"
    state = SeriesState.from_item(item)
    assert state.rules == (rule, STATE.rules[1])
    assert stored(state.to_item())["rules"] == item["rules"]


def test_a_rule_of_an_unknown_kind_is_kept_as_stored() -> None:
    item = golden("series_state")
    later = {"rule_id": "later", "kind": "volatility_above", "threshold": "5", "window": "3M"}
    item["rules"].append(later)
    state = SeriesState.from_item(item)
    assert (state.rules, state.unknown_rules) == (STATE.rules, (later,))
    assert stored(state.to_item())["rules"] == item["rules"]


def test_an_unknown_form_version_is_refused() -> None:
    with pytest.raises(UnknownForm, match="series state"):
        SeriesState.from_item({**golden("series_state"), "v": 2})
    with pytest.raises(UnknownForm, match="daily value"):
        DailyValue.from_item({**golden("daily_value"), "v": 2})
    with pytest.raises(Forbidden):
        ChartRequest.from_payload({**golden("link_payload"), "v": "2"})

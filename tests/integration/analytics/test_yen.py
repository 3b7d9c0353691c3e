"""A portfolio in yen from the deposit to its figures: money has no decimals, in every response and chart."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.support.analytics import ValuedPortfolio, at_time, enter_assets, rising_closes, store_bars, trading_days
from tests.support.balancing import Balancing
from tests.support.system import ALL_SCOPES, authorized, in_process_system
from tests.support.trading import Account

FIRST, LAST = date(2026, 9, 1), date(2026, 11, 19)
DAYS = trading_days(FIRST, LAST)
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
HUNDREDTHS = re.compile(r"-?\d+\.\d{2}")
SHARES = {".confidence", ".valid_while"}
ALL = authorized(scope=f"{ALL_SCOPES} operator")
RESOURCES = ("", "holdings", "cash", "trades", "income", "cumulative-returns", "rebalances", "broker")
FIGURES = ("performance", "risk", "history", "sectors", "drift")


@pytest.fixture(scope="module")
def mine() -> Iterator[Balancing]:
    """A portfolio of a million yen whose deposit and first trades are old, and that a person has rebalanced since."""
    with ExitStack() as stack:
        system = stack.enter_context(in_process_system())
        stack.enter_context(at_time(NOW))
        enter_assets(system, {"ALFA": "energy", "BETA": "utilities"}, currency="JPY")
        store_bars({"ALFA": rising_closes(DAYS, 1000, 0.005), "BETA": rising_closes(DAYS, 500, 0)})
        portfolio = system.portfolio("1", {"ALFA": 50, "BETA": 50}, currency="JPY", policy={"minimum_trade": "100"})
        past = ValuedPortfolio(system, portfolio)
        past.cash("d", "deposit", 1_000_000, FIRST)
        past.trade("t1", "BUY", "ALFA", 250, "999.9", FIRST)
        past.cash("i", "dividend", "1000.4", LAST)
        past.run_workers()
        mine = Balancing(system, Account(system, portfolio))
        mine.quote(ALFA="1301.5", BETA="499.5")
        assert mine.run("r1")["status"] == "COMPLETED"
        yield mine


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text of a response with its path."""
    match value:
        case dict():
            for name, member in value.items():
                yield from texts(member, f"{path}.{name}")
        case list():
            for member in value:
                yield from texts(member, path)
        case str():
            yield path, value


def test_every_money_of_a_portfolio_in_yen_is_written_without_decimals(mine: Balancing) -> None:
    system, home = mine.system, mine.account.home
    answers = {name: system.http("GET", f"{home}/{name}".rstrip("/"), authorizer=ALL) for name in RESOURCES + FIGURES}
    mine.quote(ALFA=1700)
    answers["dry run"] = system.http("POST", f"{home}/rebalances", {"dry_run": True})
    for resource, answer in answers.items():
        assert answer.status == 200, (resource, answer.text)
        # Percents have 4 decimals, ratios 6, quantities and prices of units 9.
        hundredths = {path for path, text in texts(answer.json) if HUNDREDTHS.fullmatch(text)} - SHARES
        assert not hundredths, (resource, hundredths)
    first = answers["history"].json["days"][0]
    assert (first["value"], first["cash"]) == ("1000025", "750025")  # 250 at 999.9 cost 249,975 and close at 1,000
    assert answers["performance"].json["net_flow"] == "1000000"
    assert answers[""].json["policy"]["minimum_trade"] == "100"
    orders = answers["rebalances"].json["items"][0]["execution"]["orders"]
    assert all(order["filled_amount"].isdigit() and order["fees"] == "0" for order in orders)
    assert [order["fee"] for order in answers["dry run"].json["orders"]] == ["0", "0"]
    chart = system.http("GET", f"{home}/history", query={"format": "svg"}).text
    assert re.search(r"¥[0-9,]+ on ", chart)
    summary = system.http(
        "GET", "/portfolio-summary", query={"portfolio_id": home.rpartition("/")[2], "user_id": "1"}
    ).json
    assert all(row["average_amount"].isdigit() for row in summary["results"])

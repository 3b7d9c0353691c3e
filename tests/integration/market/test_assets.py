"""Assets and their bars over HTTP: read by everyone with the scope, written by the platform."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.system import MARKET_TABLE, System, authorized
from tests.support.trading import FEED, refused
from trimtab.contracts.assets import Sector
from trimtab.contracts.bars import Bar
from trimtab.market.adapters.bars import BarStore
from trimtab.runtime.dynamodb.client import dynamodb_client

APPLE = {"name": "Apple Inc.", "sector": "information_technology", "exchange": "XNAS"}
FIRST = date(2026, 1, 1)


def enter(system: System, symbol: str = "AAPL", **members: Any) -> Any:
    """Enter an asset and return the response."""
    return system.http("PUT", f"/assets/{symbol}", APPLE | members, authorizer=FEED)


def read(system: System, path: str, **query: str) -> Any:
    """Return the body of a path."""
    answer = system.http("GET", path, query=query or None, authorizer=FEED)
    assert answer.status == 200, answer.text
    return answer.json


def all_pages(system: System, path: str, **query: str) -> list[list[Any]]:
    """Every page."""
    pages = [read(system, path, **query)]
    while pages[-1]["next_cursor"]:
        pages.append(read(system, path, **query, cursor=pages[-1]["next_cursor"]))
    return [page["items"] for page in pages]


def store_bars(amount: int) -> None:
    """A bar of AAPL for each of the days."""
    price = Decimal("1.5")
    days = [FIRST + timedelta(days=number) for number in range(amount)]
    BarStore(dynamodb_client(), MARKET_TABLE).put_bars(
        [Bar("AAPL", day, price, price, price, price, Decimal(7), None, None, price, "file", 1) for day in days]
    )


def test_an_asset_is_entered_read_and_changed_and_the_same_again_changes_nothing(system: System) -> None:
    entered = enter(system)
    assert entered.status == 200
    assert entered.json == {
        "symbol": "AAPL",
        "name": "Apple Inc.",
        "asset_class": "stock",
        "sector": "information_technology",
        "sector_code": 45,
        "currency": "USD",
        "exchange": "XNAS",
        "active": True,
        "halted": False,
        "max_jump_percent": "40",
        "quote_unit": "money",
        "quantity_places": 9,
        "version": 1,
    }
    assert enter(system).json == entered.json == read(system, "/assets/AAPL")
    moved = enter(system, sector="communication_services", active=False).json
    assert (moved["sector_code"], moved["active"], moved["version"]) == (50, False, 2)
    assert read(system, "/assets", sector="information_technology")["items"] == []
    refused(system.http("GET", "/assets/NONE", authorizer=FEED), 404, "not_found")


@pytest.mark.parametrize("limit", ["12.5", None, "40"])
def test_an_asset_is_halted_and_has_its_own_largest_jump(system: System, limit: str | None) -> None:
    entered = enter(system, halted=True, max_jump_percent=limit).json
    assert (entered["halted"], entered["max_jump_percent"]) == (True, limit)
    assert read(system, "/assets/AAPL") == entered
    assert enter(system, halted=True, max_jump_percent=limit).json["version"] == 1


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_assets_are_listed_by_sector_and_over_all_sectors_page_by_page(system: System, limit: int) -> None:
    wanted = {"B": "energy", "A": "energy", "D": "utilities", "C": "real_estate", "Z": None}
    for symbol, sector in wanted.items():
        enter(system, symbol, sector=sector)
    pages = all_pages(system, "/assets", limit=str(limit))
    assert [asset["symbol"] for page in pages for asset in page] == ["A", "B", "D", "C", "Z"]
    assert all(len(page) <= limit for page in pages)
    energy = all_pages(system, "/assets", limit=str(limit), sector="energy")
    assert [asset["symbol"] for page in energy for asset in page] == ["A", "B"]


def test_bars_are_listed_newest_first_between_two_days(system: System) -> None:
    enter(system)
    store_bars(120)
    pages = all_pages(system, "/assets/AAPL/bars", limit="100")
    assert [len(page) for page in pages] == [100, 20]
    days = [bar["day"] for page in pages for bar in page]
    assert days == sorted(days, reverse=True)
    some = {"from": "2026-01-10", "to": "2026-01-12"}
    assert [bar["day"] for bar in read(system, "/assets/AAPL/bars", **some)["items"]] == [
        "2026-01-12",
        "2026-01-11",
        "2026-01-10",
    ]
    assert read(system, "/assets/AAPL/bars", to="2026-01-01")["items"] == [
        {
            "day": "2026-01-01",
            **dict.fromkeys(("open", "high", "low", "close"), "1.5"),
            "volume": "7",
            "vwap": None,
            "pre_market": None,
            "after_hours": "1.5",
            "dividend": None,
            "source": "file",
            "revision": 1,
        }
    ]


def test_a_cursor_is_of_its_own_list(system: System) -> None:
    enter(system)
    enter(system, "MSFT")
    store_bars(3)
    of_assets = read(system, "/assets", limit="1")["next_cursor"]
    of_bars = read(system, "/assets/AAPL/bars", limit="1")["next_cursor"]
    for path, query in (
        ("/assets", {"cursor": of_bars}),
        ("/assets", {"cursor": of_assets, "sector": "energy"}),
        ("/assets/AAPL/bars", {"cursor": of_assets}),
        ("/assets/AAPL/bars", {"cursor": of_bars, "to": "2026-01-02"}),
    ):
        refused(system.http("GET", path, query=query, authorizer=FEED), 400, "invalid_cursor")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/assets", {"sector": "tech"}),
        ("/assets", {"sector": "45"}),
        ("/assets", {"limit": "0"}),
        ("/assets", {"limit": "101"}),
        ("/assets/AAPL/bars", {"from": "yesterday"}),
        ("/assets/AAPL/bars", {"from": "2026-01-02T00:00:00Z"}),
        ("/assets/AAPL/bars", {"from": "2026-01-03", "to": "2026-01-02"}),
    ],
)
def test_a_query_of_another_form_is_refused(system: System, path: str, query: dict[str, str]) -> None:
    enter(system)
    assert system.http("GET", path, query=query, authorizer=FEED).status == 400


@pytest.mark.parametrize(
    "members",
    [
        {"name": ""},
        {"name": "x" * 201},
        {"name": "a\nb"},
        {"name": None},
        {"sector": "tech"},
        {"currency": "usd"},
        {"exchange": ""},
        {"asset_class": "thing"},
        {"active": "yes please"},
        {"max_jump_percent": 0},
        {"max_jump_percent": "off"},
        {"unknown": 1},
    ],
)
def test_an_asset_of_another_form_is_refused(system: System, members: dict[str, Any]) -> None:
    assert enter(system, **members).status == 400
    assert read(system, "/assets")["items"] == []


def test_writing_and_reading_ask_for_their_scopes(system: System) -> None:
    enter(system)
    file_reader, stranger = authorized(scope="market:read"), authorized(scope="portfolios:read trades:read")
    assert system.http("PUT", "/assets/AAPL", APPLE, authorizer=file_reader).status == 403
    for path in ("/assets", "/assets/AAPL", "/assets/AAPL/bars"):
        assert system.http("GET", path, authorizer=file_reader).status == 200
        assert system.http("GET", path, authorizer=stranger).status == 403


def test_every_sector_can_be_entered(system: System) -> None:
    for sector in Sector:
        assert enter(system, f"S{sector.code}", sector=sector.value).json["sector_code"] == sector.code
    assert len(read(system, "/assets")["items"]) == 11

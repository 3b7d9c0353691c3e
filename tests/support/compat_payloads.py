"""Checks of the payloads for the functions that serve the routes of earlier systems."""

from collections.abc import Callable
from unittest import mock

from functions.compat_rebalancer_api import handler as rebalancer_function
from tests.support.payloads import http, now
from tests.support.system import System

TARGET = {"stocks": 60, "bonds": 30, "gold": 10}


def _adds_a_portfolio(_: System) -> None:
    assert http("compat_rebalancer_api/add_portfolio.json", 201) == {"user_id": "1", "allocation": TARGET}


def _reads_the_portfolio(system: System) -> None:
    system.portfolio()
    assert http("compat_rebalancer_api/read_portfolio.json", 200) == {"user_id": "1", "allocation": TARGET}


def _reports_weights(system: System) -> None:
    system.portfolio()
    with mock.patch.multiple(rebalancer_function, utc_now=now):
        assert http("compat_rebalancer_api/report_weights.json", 200) == "Success Rebalance User Portfolio"
    assert system.drain_queue() == 1


def _lists_the_transactions(system: System) -> None:
    _reports_weights(system)
    listed = http("compat_rebalancer_api/list_transactions.json", 200)
    assert [(each["action"], each["asset"]) for each in listed] == [("SELL", "stocks"), ("BUY", "bonds")]


EXPECTED: dict[str, Callable[[System], None]] = {
    "compat_rebalancer_api/add_portfolio.json": _adds_a_portfolio,
    "compat_rebalancer_api/read_portfolio.json": _reads_the_portfolio,
    "compat_rebalancer_api/report_weights.json": _reports_weights,
    "compat_rebalancer_api/list_transactions.json": _lists_the_transactions,
}

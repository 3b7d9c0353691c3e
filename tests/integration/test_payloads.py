"""Every payload of `events/`, passed to the real handler of the function that its folder names."""

import importlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest

from functions.market_on_night import handler as night_function
from functions.market_on_quote_received import handler as quote_function
from functions.portfolios_api import app as api_function
from functions.rebalancing_on_rebalance_requested import handler as worker_function
from tests.support import (
    analytics_payloads,
    balancing_payloads,
    betting_payloads,
    compat_payloads,
    rpc_payloads,
    webhooks_payloads,
)
from tests.support.payloads import http, now, run
from tests.support.system import BARS_BUCKET, EVENTS, LambdaContext, System, payload, payload_text, sqs_record
from tests.support.tokens import mint, publish
from tests.support.trading import FEED
from trimtab.market.domain.ingested_days import sessions_up_to

DOCUMENTATION = {"schemas"}
FILES = sorted(
    str(path.relative_to(EVENTS)) for path in EVENTS.glob("*/*.json") if path.parent.name not in DOCUMENTATION
)
WEIGHTS = {"stocks": 70, "bonds": 20, "gold": 10}


def decided(system: System) -> None:
    """Create the portfolio and the decided rebalance whose ids the payloads contain."""
    system.portfolio()
    body = {"user_id": "1", "new_allocation": WEIGHTS, "request_id": "drift-2026-11-21"}
    assert system.http("POST", "/rebalance", body).status == 202
    system.drain_queue()


def creates(path: str) -> Callable[[System], None]:
    """Return a check that the payload creates the portfolio of its user."""

    def check(system: System) -> None:
        created, asked = http(path, 201), json.loads(payload(path)["body"])
        assert created["user_id"] == asked.get("user_id", asked.get("UserID"))
        assert len(system.items()) == 1

    return check


def answers(path: str, status: int, member: str, value: Any) -> Callable[[System], None]:
    """Return a check that, after a decided rebalance, the response to the payload has this member."""

    def check(system: System) -> None:
        decided(system)
        assert http(path, status)[member] == value

    return check


def lists(path: str, amount: int) -> Callable[[System], None]:
    """Return a check that, after a decided rebalance, the payload lists this number of items."""

    def check(system: System) -> None:
        decided(system)
        assert len(http(path, 200)["items"]) == amount

    return check


def closes(system: System) -> None:
    decided(system)
    assert http("portfolios_api/close_portfolio.json", 204) == ""
    assert system.http("GET", payload("portfolios_api/get_portfolio.json")["path"]).json["status"] == "CLOSED"


def sets_the_allocation(system: System) -> None:
    decided(system)
    changed = http("portfolios_api/set_allocation.json", 200)
    assert changed["allocation"] == {"stocks": "50.0000", "bonds": "50.0000"}


def is_accepted(system: System) -> None:
    system.portfolio()
    assert http("portfolios_api/request_rebalance.json", 202)["request_id"] == "drift-2026-11-21"
    assert system.drain_queue() == 1


def statuses(system: System) -> dict[str, str]:
    """Return the status of each stored rebalance by request id."""
    return {item["request_id"]["S"]: item["status"]["S"] for item in system.items() if "request_id" in item}


def poison_is_returned(system: System) -> None:
    system.portfolio()
    answer = run("rebalancing_on_rebalance_requested/batch_with_poison.json")
    poison = payload("rebalancing_on_rebalance_requested/batch_with_poison.json")["Records"][1]["messageId"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": poison}]}
    assert set(statuses(system)) == {"drift-2026-11-21", "drift-2026-11-22"}


def is_decided(system: System) -> None:
    system.portfolio()
    answer = run("rebalancing_on_rebalance_requested/direct_injection.json")
    assert answer == {"batchItemFailures": []}
    assert statuses(system) == {"drift-2026-11-21": "COMPLETED"}


def is_a_message(path: str) -> Callable[[System], None]:
    """Return a check that the worker decides a message with the payload as its body."""

    def check(system: System) -> None:
        system.portfolio()
        assert system.invoke_worker(sqs_record((EVENTS / path).read_text())) == set()
        assert statuses(system) == {"drift-2026-11-21": "COMPLETED"}

    return check


def undelivered(system: System) -> list[Any]:
    """Return the bodies of the messages on the queue of undelivered events."""
    answer = boto3.client("sqs").receive_message(QueueUrl=system.undelivered_url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def is_published(system: System) -> None:
    assert run("events_on_commit/stream.json") == {"batchItemFailures": []}
    assert undelivered(system) == []


def unreadable_goes_to_the_undelivered(system: System) -> None:
    assert run("events_on_commit/stream_with_poison.json") == {"batchItemFailures": []}
    assert undelivered(system) == [payload("events_on_commit/stream_with_poison.json")["Records"][0]]


def an_unknown_job_is_returned(_: System) -> None:
    response = run("ledger_on_recalculation_requested/unknown_job.json")
    assert [failure["itemIdentifier"] for failure in response["batchItemFailures"]] == [
        "059f36b4-87a3-44ab-83d2-661975830001"
    ]


def traded(system: System) -> None:
    """Create the portfolio and the trade whose ids the payloads contain."""
    system.portfolio()
    trade = http("portfolios_api/record_trade.json", 201)
    assert (trade["ref_id"], trade["amount"], trade["price"]) == ("broker-4711", "1500.00", "150.000000000")


def lists_the_trade(system: System) -> None:
    traded(system)
    trades = http("portfolios_api/list_trades.json", 200)["items"]
    assert [trade["ref_id"] for trade in trades] == ["broker-4711"]


def reads_the_trade(system: System) -> None:
    traded(system)
    trade = http("portfolios_api/read_trade.json", 200)
    assert (trade["ref_id"], trade["revision"], trade["history"]) == ("broker-4711", 1, [])


def is_corrected(system: System) -> None:
    traded(system)
    assert http("portfolios_api/correct_trade.json", 200)["history"][0]["quantity"] == "10.000000000"
    assert http("portfolios_api/read_holdings.json", 200)["items"][0]["cost_basis"] == "1801.00"


def is_imported(system: System) -> None:
    system.portfolio()
    assert json.loads(payload_text("portfolios_api/import_trades.json"))["body"] == payload_text("direct/trades.csv")
    for recorded, already in ((4, 0), (0, 4)):
        counts = http("portfolios_api/import_trades.json", 200)
        assert (counts["recorded"], counts["already_recorded"], counts["ignored"]) == (recorded, already, {})


def lists_the_import(system: System) -> None:
    is_imported(system)
    assert [job["recorded"] for job in http("portfolios_api/list_imports.json", 200)["items"]] == [4]


def reads_the_import(system: System) -> None:
    is_imported(system)
    job = http("portfolios_api/read_import.json", 200)
    assert (job["status"], job["rows"], job["recorded"]) == ("COMPLETED", 4, 4)


def undoes_the_import(system: System) -> None:
    is_imported(system)
    assert http("portfolios_api/undo_import.json", 200)["status"] == "UNDONE"
    assert http("portfolios_api/list_trades.json", 200)["items"] == []


def imports_a_statement(system: System) -> None:
    system.portfolio()
    assert payload("portfolios_api/import_statement.json")["body"] == payload_text("direct/interactive_brokers.csv")
    counts = http("portfolios_api/import_statement.json", 200)
    assert (counts["recorded"], counts["ignored"]["Trades: Forex"]) == (3, 1)


def records_a_spin_off(system: System) -> None:
    traded(system)
    spun_off = http("portfolios_api/record_spin_off.json", 201)
    assert (spun_off["kind"], spun_off["price"], spun_off["spun_off_from"]) == ("spin_off", "31.250000000", "AAPL")


def imports_mapped_trades(system: System) -> None:
    system.portfolio()
    assert http("portfolios_api/import_mapped_trades.json", 200)["recorded"] == 2
    assert http("portfolios_api/read_holdings.json", 200)["items"][0]["quantity"] == "999.500000000"


def imports_cash(system: System) -> None:
    system.portfolio()
    assert payload("portfolios_api/import_cash.json")["body"] == payload_text("direct/cash.csv")
    assert http("portfolios_api/import_cash.json", 200)["recorded"] == 3


def exports_the_trade(system: System) -> None:
    traded(system)
    row = "broker-4711,BUY,stock,AAPL,10,1500,1,success,2026-11-20T14:30:00.000000Z,USD,trade,,"
    assert run("portfolios_api/export_trades.json")["body"].splitlines()[1:] == [row]


def exports_the_cash(system: System) -> None:
    imports_cash(system)
    rows = run("portfolios_api/export_cash.json")["body"].splitlines()[1:]
    assert [row.partition(",")[0] for row in rows] == ["bank-1", "income-1", "bank-2"]


def shows(path: str, member: str, value: Any) -> Callable[[System], None]:
    """Return a check that, after the trade and a quote of 187.42, the response to the payload has this member."""

    def check(system: System) -> None:
        traded(system)
        assert http("market_api/store_quotes.json", 202) == {"accepted": 2, "held": [], "outdated": []}
        assert system.process_quotes() == 1
        assert http(f"portfolios_api/{path}.json", 200)[member] == value

    return check


def lists_the_cash(system: System) -> None:
    balancing_payloads.moves_cash(system)
    (entry,) = http("portfolios_api/list_cash.json", 200)["items"]
    assert (entry["ref_id"], entry["type"], entry["amount"]) == ("bank-17", "deposit", "2500.00")


def splits(system: System) -> None:
    traded(system)
    (split,) = http("market_api/enter_split.json", 200)["splits"]
    assert (split["ratio"], split["effective_at"][:10]) == ("4", "2026-06-10")
    assert (
        http("portfolios_api/read_holdings.json", 200)["items"][0]["quantity"] == "10.000000000"
    )  # unchanged: bought after the split


def amends_a_split(system: System) -> None:
    splits(system)
    assert http("market_api/amend_split.json", 200)["splits"][0]["ratio"] == "5"


def withdraws_a_split(system: System) -> None:
    splits(system)
    assert http("market_api/withdraw_split.json", 200)["splits"] == []


def holds_a_price(system: System) -> None:
    """Hold 18,742 after 187.42; the payload reads both."""
    for price, at in (("187.42", "2026-11-21T09:30:00Z"), ("18742", "2026-11-21T09:31:00Z")):
        quotes = [{"symbol": "AAPL", "price": price, "as_of": at, "source": "feed-1"}]
        assert system.http("POST", "/quotes", {"quotes": quotes}, authorizer=FEED).status == 202
        system.process_quotes()
    read = http("market_api/get_quote.json", 200)
    assert (read["price"], read["held"]["price"]) == ("187.42", "18742")


def releases_the_price(system: System) -> None:
    holds_a_price(system)
    assert http("market_api/release_price.json", 200)["price"] == "18742"


def withdraws_the_price(system: System) -> None:
    holds_a_price(system)
    withdrawn = http("market_api/withdraw_price.json", 200)
    assert (withdrawn["price"], withdrawn["held"]) == ("187.42", None)


def is_authorized_once_its_token_is_good(system: System) -> None:
    publish()
    assert run("authorizer/token.json")["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    handler = importlib.import_module("functions.authorizer.handler").handler
    event = payload("authorizer/token.json") | {"authorizationToken": f"Bearer {mint()}"}
    assert handler(event, LambdaContext())["policyDocument"]["Statement"][0]["Effect"] == "Allow"


def quotes_are_stored(path: str) -> Callable[[System], Any]:
    """Return a check that both quotes are stored once, although the payload is processed twice."""

    def check(system: System) -> None:
        for _ in range(2):
            if path.startswith("direct/"):
                record = sqs_record((EVENTS / path).read_text())
                assert system.invoke_worker(record, worker=quote_function) == set()
            else:
                assert run(path) == {"batchItemFailures": []}
        stored = boto3.client("dynamodb").scan(TableName="market")["Items"]
        assert {item["price"]["S"] for item in stored} == {"187.42", "402.1"}
        assert {item["version"]["N"] for item in stored} == {"1"}

    return check


def entered(_: System) -> Any:
    """Enter the asset whose symbol the payloads contain, and return the response."""
    asset = http("market_api/enter_asset.json", 200)
    assert (asset["sector_code"], asset["version"]) == (45, 1)
    return asset


def shows_the_asset(system: System) -> None:
    asset = entered(system)
    assert http("market_api/get_asset.json", 200) == asset
    assert http("market_api/list_assets.json", 200) == {"items": [asset], "next_cursor": None}


def takes_in_a_night(system: System) -> None:
    entered(system)
    for day in sessions_up_to(date(2026, 11, 20)):
        text = "symbol,open,high,low,close,volume\nAAPL,150,152,149,151.5,1000\nMSFT,1,1,1,1,1\n"
        boto3.client("s3").put_object(Bucket=BARS_BUCKET, Key=f"daily/{day}.csv", Body=text.encode())
    with mock.patch.object(night_function, "utc_now", return_value=datetime(2026, 11, 21, 3, tzinfo=UTC)):
        assert run("market_on_night/schedule.json") == {"days": 10, "stored": 10, "changed": 0, "rejected": 0}
    bars = http("market_api/list_bars.json", 200)["items"]
    assert [bars[0]["day"], bars[0]["close"], len(bars)] == ["2026-11-20", "151.5", 10]


def an_unknown_rebalance_is_returned(system: System) -> None:
    failures = run("execution_on_execution_requested/unknown_rebalance.json")["batchItemFailures"]
    assert len(failures) == 1


EXPECTED: dict[str, Callable[[System], Any]] = {
    "authorizer/token.json": is_authorized_once_its_token_is_good,
    "direct/quote_received.json": quotes_are_stored("direct/quote_received.json"),
    "direct/rebalance_requested.json": is_a_message("direct/rebalance_requested.json"),
    "direct/rebalance_requested_in_full.json": is_a_message("direct/rebalance_requested_in_full.json"),
    "events_on_commit/stream.json": is_published,
    "events_on_commit/stream_with_poison.json": unreadable_goes_to_the_undelivered,
    "market_api/amend_split.json": amends_a_split,
    "market_api/withdraw_split.json": withdraws_a_split,
    "market_api/enter_asset.json": entered,
    "market_api/enter_split.json": splits,
    "market_api/get_asset.json": shows_the_asset,
    "market_api/get_quote.json": holds_a_price,
    "market_api/list_assets.json": shows_the_asset,
    "market_api/list_bars.json": takes_in_a_night,
    "market_api/release_price.json": releases_the_price,
    "market_api/withdraw_price.json": withdraws_the_price,
    "market_api/store_quotes.json": lambda _: http("market_api/store_quotes.json", 202)["accepted"],
    "market_on_night/schedule.json": takes_in_a_night,
    "market_on_quote_received/quotes.json": quotes_are_stored("market_on_quote_received/quotes.json"),
    "platform_api/docs.json": lambda _: http("platform_api/docs.json", 200).index("swagger"),
    "platform_api/health.json": lambda _: http("platform_api/health.json", 200)["table"],
    "platform_api/openapi.json": lambda _: http("platform_api/openapi.json", 200)["paths"],
    "platform_api/read_operations.json": lambda _: http("platform_api/read_operations.json", 200).index("# EOF"),
    "platform_api/read_problem.json": lambda _: http("platform_api/read_problem.json", 200).index("lock"),
    "portfolios_api/change_portfolio.json": lambda system: (
        system.portfolio(),
        http("portfolios_api/change_portfolio.json", 200)["policy"]["band"]["value"],
    ),
    "portfolios_api/close_portfolio.json": closes,
    "portfolios_api/correct_trade.json": is_corrected,
    "portfolios_api/create_portfolio.json": creates("portfolios_api/create_portfolio.json"),
    "portfolios_api/create_portfolio_aliases.json": creates("portfolios_api/create_portfolio_aliases.json"),
    "portfolios_api/create_portfolio_with_policy.json": creates("portfolios_api/create_portfolio_with_policy.json"),
    "portfolios_api/export_cash.json": exports_the_cash,
    "portfolios_api/export_trades.json": exports_the_trade,
    "portfolios_api/get_portfolio.json": answers("portfolios_api/get_portfolio.json", 200, "user_id", "1"),
    "portfolios_api/get_rebalance.json": answers("portfolios_api/get_rebalance.json", 200, "status", "COMPLETED"),
    "portfolios_api/import_cash.json": imports_cash,
    "portfolios_api/import_mapped_trades.json": imports_mapped_trades,
    "portfolios_api/import_statement.json": imports_a_statement,
    "portfolios_api/import_trades.json": is_imported,
    "portfolios_api/list_imports.json": lists_the_import,
    "portfolios_api/read_import.json": reads_the_import,
    "portfolios_api/undo_import.json": undoes_the_import,
    "portfolios_api/list_cash.json": lists_the_cash,
    "portfolios_api/list_portfolios.json": lists("portfolios_api/list_portfolios.json", 1),
    "portfolios_api/list_rebalances.json": lists("portfolios_api/list_rebalances.json", 1),
    "portfolios_api/list_trades.json": lists_the_trade,
    "portfolios_api/list_transactions.json": lists("portfolios_api/list_transactions.json", 2),
    "portfolios_api/list_user_transactions.json": lists("portfolios_api/list_user_transactions.json", 2),
    "portfolios_api/move_cash.json": balancing_payloads.moves_cash,
    "portfolios_api/preview_rebalance.json": answers(
        "portfolios_api/preview_rebalance.json", 200, "status", "COMPLETED"
    ),
    "portfolios_api/read_holdings.json": shows("read_holdings", "cash", None),
    "portfolios_api/read_returns.json": shows("read_returns", "unrealised", "373.20"),
    "portfolios_api/read_summary.json": shows("read_summary", "count", 1),
    "portfolios_api/read_trade.json": reads_the_trade,
    "portfolios_api/record_spin_off.json": records_a_spin_off,
    "portfolios_api/record_trade.json": traded,
    "portfolios_api/request_rebalance.json": is_accepted,
    "portfolios_api/set_allocation.json": sets_the_allocation,
    "execution_on_execution_requested/unknown_rebalance.json": an_unknown_rebalance_is_returned,
    "rebalancing_on_rebalance_requested/batch_with_poison.json": poison_is_returned,
    "rebalancing_on_rebalance_requested/direct_injection.json": is_decided,
    "ledger_on_recalculation_requested/unknown_job.json": an_unknown_job_is_returned,
    **analytics_payloads.EXPECTED,
    **webhooks_payloads.EXPECTED,
    **balancing_payloads.EXPECTED,
    **betting_payloads.EXPECTED,
    **compat_payloads.EXPECTED,
    **rpc_payloads.EXPECTED,
}


@pytest.mark.parametrize("path", FILES)
def test_a_payload_does_what_it_documents(system: System, path: str) -> None:
    assert path in EXPECTED, "add a check of this payload to EXPECTED"
    with mock.patch.multiple(worker_function, utc_now=now), mock.patch.multiple(api_function, utc_now=now):
        EXPECTED[path](system)


def test_every_expectation_has_its_payload_and_every_function_has_one() -> None:
    assert set(EXPECTED) == set(FILES)
    functions = {path.parent.name for path in (EVENTS.parent / "functions").glob("*/handler.py")}
    assert {str(Path(path).parent) for path in FILES} == functions | {"direct"}

"""A portfolio with daily values: stored assets and bars, old trades, and the deliveries of the event bus."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email import message_from_string, policy
from email.message import EmailMessage
from importlib import import_module
from typing import Any
from unittest import mock

import boto3
from msgspec.structs import replace

from functions.notifications_on_alert import handler as alert_function
from tests.support.aws_setup import backend
from tests.support.moto_state import commits, table
from tests.support.system import MARKET_TABLE, Answer, System, sqs_record
from tests.support.trading import FEED
from trimtab.contracts.bars import Bar
from trimtab.kernel.trading_days import is_trading_day
from trimtab.market.adapters.bars import BarStore
from trimtab.runtime.dynamodb.outbox import events_of

CHANGES = {
    "trade.recorded",
    "trade.corrected",
    "cash.recorded",
    "cash.corrected",
    "import.completed",
    "import.undone",
    "cash.recounted",
    "portfolio.closed",
    "portfolio.created",
    "portfolio.stale",
    "portfolio.resolved",
}


CLOCKS = ("analytics_api.app", "analytics_api.requests", "analytics_on_valuation_requested.handler")
MORE_CLOCKS = ("analytics_on_report_requested.handler", "analytics_on_night.handler", "portfolios_api.trades")


@contextmanager
def at_time(instant: datetime) -> Iterator[None]:
    """Run the functions that value and report at a time, wired anew."""
    with ExitStack() as stack:
        for name in (*CLOCKS, *MORE_CLOCKS):
            module = import_module(f"functions.{name}")
            stack.enter_context(mock.patch.object(module, "utc_now", return_value=instant))
            for member in vars(module).values():
                if hasattr(member, "cache_clear"):
                    member.cache_clear()
        yield


def trading_days(first: date, last: date) -> list[date]:
    """Return the trading days between two days, both included."""
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [day for day in days if is_trading_day(day)]


def store_bars(closes: Mapping[str, Mapping[date, Any]], dividends: Mapping[date, str] | None = None) -> None:
    """Store bars with closes by symbol and day, and with dividends by day."""
    bars = [
        replace(_bar(symbol, day, Decimal(str(close))), dividend=Decimal(paid) if paid else None)
        for symbol, by_day in closes.items()
        for day, close in by_day.items()
        for paid in [(dividends or {}).get(day)]
    ]
    BarStore(boto3.client("dynamodb"), MARKET_TABLE).put_bars(bars)


def _bar(symbol: str, day: date, close: Decimal) -> Bar:
    return Bar(symbol, day, close, close, close, close, Decimal(1000), None, None, None, "test", 1)


@dataclass
class ValuedPortfolio:
    """A portfolio in the in-process system, whose events reach the workers of valuations and alerts."""

    system: System
    portfolio: Any
    deliveries: list[Any] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path of the portfolio."""
        return f"/portfolios/{self.portfolio['portfolio_id']}"

    def get(self, resource: str, **query: str) -> Answer:
        """Read a resource of the portfolio."""
        return self.system.http("GET", f"{self.path}/{resource}", query=query or None)

    def trade(self, ref_id: str, side: str, symbol: str, quantity: Any, price: Any, day: date) -> None:
        """Record a trade executed at 18:00 UTC of a day."""
        at = datetime(day.year, day.month, day.day, 18, tzinfo=UTC).isoformat()
        body = {"ref_id": ref_id, "side": side, "security_type": "stock", "symbol": symbol, "quantity": str(quantity)}
        answer = self.system.http("POST", f"{self.path}/trades", {**body, "price": str(price), "executed_at": at})
        assert answer.status == 201, answer.text

    def cash(self, ref_id: str, type: str, amount: Any, day: date) -> None:
        """Record cash moved at 12:00 UTC of a day."""
        at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).isoformat()
        body = {"ref_id": ref_id, "type": type, "amount": str(amount), "executed_at": at}
        answer = self.system.http("POST", f"{self.path}/cash", body)
        assert answer.status == 201, answer.text

    def quote(self, at: datetime, **prices: Any) -> None:
        """Store quotes."""
        rows = [{"symbol": name, "price": str(price), "as_of": at.isoformat()} for name, price in prices.items()]
        assert self.system.http("POST", "/quotes", {"quotes": rows}, authorizer=FEED).status == 202
        self.system.process_quotes()

    def events(self, *tables: str) -> list[dict[str, Any]]:
        """Return the events of the tables' streams since the last call, as the bus gets them."""
        found = []
        for name in tables or ("portfolios", "analytics", "market"):
            records = (
                commits() if name == "portfolios" else [record.to_json() for record in table(name).stream_shard.items]
            )
            seen = self._seen.get(name, 0)
            found += [event for record in records[seen if seen <= len(records) else 0 :] for event in events_of(record)]
            self._seen[name] = len(records)
        return found

    def request_valuation(self, since: date | None = None) -> None:
        """Request a valuation, as every night does."""
        names = {"tenant_id": "demo", "portfolio_id": self.portfolio["portfolio_id"]}
        body = {"schema_version": 1, "type": "valuation.requested", **names}
        text = json.dumps({**body, **({"since": since.isoformat()} if since else {})})
        boto3.client("sqs").send_message(QueueUrl=self.system.valuations_url, MessageBody=text)

    def deliver_alert(self, event: Any) -> set[str]:
        """Deliver an alert to the worker that mails alerts; return the ids of the failed messages."""
        self.deliveries.append(event)
        return self.system.invoke_worker(sqs_record(json.dumps(on_bus(event))), worker=alert_function)

    def send_changes(self) -> list[dict[str, Any]]:
        """Deliver the new events of all tables to the queues of changes and mails; return the alerts raised."""
        alerts, sqs = [], boto3.client("sqs")
        for event in self.events():
            envelope = json.dumps(on_bus(event))
            if event["type"] in CHANGES:
                sqs.send_message(QueueUrl=self.system.changes_url, MessageBody=envelope)
            if event["type"] == "alert.raised":
                alerts.append(event)
                sqs.send_message(QueueUrl=self.system.mails_url, MessageBody=envelope)
        return alerts

    def run_workers(self) -> list[dict[str, Any]]:
        """Run the bus and the workers of valuations and alerts until nothing is left; return the alerts raised."""
        alerts = []
        for _ in range(5):
            alerts += self.send_changes()
            self.system.process_changes()
            if not self.system.process_valuations() + self.system.process_mails():
                break
        return alerts


def on_bus(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the envelope in which a rule of the bus delivers an event to a queue."""
    return {"version": "0", "detail-type": event["type"], "detail": event}


def sent_mails() -> list[EmailMessage]:
    """Return the mails accepted by the mail server, in order."""
    taken = backend("ses").sent_messages
    return [message_from_string(mail.raw_data, policy=policy.default) for mail in taken]


def mailed_addresses() -> list[str]:
    """Return the addressees of the accepted mails, in order."""
    return [str(mail["To"]) for mail in sent_mails()]


def enter_assets(system: System, sectors: Mapping[str, str | None], currency: str = "USD") -> None:
    """Enter assets with their sectors."""
    for symbol, sector in sectors.items():
        body = {
            "name": symbol.title(),
            "asset_class": "stock" if sector else "etf",
            "sector": sector,
            "currency": currency,
            "exchange": "XNYS",
            "active": True,
        }
        answer = system.http("PUT", f"/assets/{symbol}", body, authorizer=FEED)
        assert answer.status in {200, 201}, answer.text


def rising_closes(days: Sequence[date], start: float, daily: float) -> dict[date, Decimal]:
    """Return closes that rise by the same share every day."""
    return {day: Decimal(f"{start * (1 + daily) ** number:.4f}") for number, day in enumerate(days)}

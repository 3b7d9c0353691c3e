"""What must hold at the end of a saga run, whatever went wrong in it."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tests.faults.saga import DEPOSIT, HELD, Outcome, SagaRun
from tests.support.moto_state import commits, stored_items
from trimtab.kernel.money import ZERO
from trimtab.portfolios.ledger import store as ledger
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType, fold
from trimtab.portfolios.portfolio.model import PortfolioStatus
from trimtab.runtime.dynamo import from_item, unpack_events

TOLD = ("rebalance.completed", "rebalance.rolled_back", "rebalance.cancelled", "rebalance.rejected")
Fact = tuple[str, Any, Any]


def violations(run: SagaRun, *ends: tuple[str, ...]) -> list[str]:
    """Everything that was lost or doubled; empty where nothing was. `ends`: how it may have ended."""
    allowed = ends or (run.scenario.ends,)
    with run.lab.faults.paused():
        found = list(run.complaints)
        if run.statuses() not in allowed:
            found.append(f"ended {run.statuses()}, not {allowed}")
        facts = [*_of_the_ledger(run), *_of_the_rebalances(run), *_of_the_portfolio(run)]
        return found + [f"{what}: {have!r}, not {want!r}" for what, have, want in facts if have != want]


def checked(run: SagaRun, *ends: tuple[str, ...]) -> list[str]:
    """The violations, also those after everything was delivered once more."""
    found = violations(run, *ends)
    if found:
        return found
    before = outcome(run)
    after = outcome(run.repeat_everything())
    return [f"delivered again: {after}, not {before}"] * (before != after) + run.complaints


def outcome(run: SagaRun) -> Outcome:
    """What a redelivery must not change."""
    items = [it for it in stored_items() if it["sk"]["S"].startswith(("REBALANCE#", "TRADE#", "CASH#"))]
    portfolio = run.portfolio()
    state = (portfolio.status, portfolio.lock, portfolio.cash, portfolio.holdings)
    return sorted(items, key=str), state, list(run.fills()), sorted(events())


def trades() -> list[Trade]:
    """All trades, of clients and of rebalances."""
    return [ledger._to_trade(from_item(it)) for it in stored_items() if it["sk"]["S"].startswith("TRADE#")]


def events() -> list[tuple[str, str]]:
    """The type of each event that a commit carries, and the rebalance that it speaks of."""
    texts = [record["dynamodb"]["NewImage"].get("events", {"S": "[]"})["S"] for record in commits()]
    return [(event.type, event.data.get("rebalance_id", "")) for text in texts for event in unpack_events(text)]


def _of_the_ledger(run: SagaRun) -> Iterator[Fact]:
    portfolio, fills, found = run.portfolio(), run.fills(), trades()
    deposits = sum((Decimal(from_item(it)["amount"]) for it in stored_items() if "CASH#" in it["sk"]["S"]), ZERO)
    own = [each for each in found if each.rebalance_id]
    bought = {symbol: Decimal(quantity) for symbol, quantity in HELD.items()}
    spent = sum((quantity * 100 for quantity in bought.values()), ZERO)
    for fill in fills:
        bought[fill.symbol] += fill.quantity if fill.side == "BUY" else -fill.quantity
        spent += fill.amount if fill.side == "BUY" else -fill.amount
    times = Counter(fill.client_order_id for fill in fills)
    yield "ids with more than one fill", [id for id, count in times.items() if count > 1], []
    yield "quantities, and what the broker did", run.quantities(), bought
    yield "cash, and what the broker did", portfolio.cash, deposits - spent
    yield "deposited", deposits >= DEPOSIT, True
    yield (
        "trades, and fills",
        sorted((it.ref_id, it.symbol, it.side.value, it.quantity, it.amount) for it in own),
        sorted((it.client_order_id, it.symbol, it.side, it.quantity, it.amount) for it in fills),
    )
    yield "cash, and its movements", portfolio.cash, deposits + sum((it.cash_change for it in found), ZERO)
    for symbol in HELD:
        executions = [it.execution for it in found if it.symbol == symbol and it.execution]
        folded = fold(Holding(symbol, SecurityType.STOCK), executions, ())
        held = portfolio.holdings[symbol]
        yield f"holding of {symbol}, and the fold of its trades", held, folded


def _of_the_rebalances(run: SagaRun) -> Iterator[Fact]:
    rebalances, told_of = run.rebalances(), events()
    told = Counter((type, id) for type, id in told_of if type in TOLD)
    for it in rebalances:
        yield f"{it.rebalance_id} is open", it.is_open, False
        outcomes = sum(count for (_, id), count in told.items() if id == it.rebalance_id)
        yield f"events of the outcome {it.status}", outcomes, int(it.status.value not in {"STALE", "RESOLVED"})
        assert it.execution is not None
        pending = [each.symbol for each in it.execution.orders if each.filled and not each.is_booked]
        yield "filled and not booked", pending, []
        if it.status.value == "ROLLED_BACK" and len(rebalances) == 1:
            yield "quantities rolled back", run.quantities(), {name: Decimal(held) for name, held in HELD.items()}
            yield "net fills", dict(it.execution.net_fills()), {}
    stale = sum(type == "portfolio.stale" for type, _ in told_of)
    yield "alerts", stale, sum(it.status.value in {"STALE", "RESOLVED"} for it in rebalances)
    yield "events of something stuck", sum(type == "rebalance.stuck" for type, _ in told_of), 0


def _of_the_portfolio(run: SagaRun) -> Iterator[Fact]:
    run.collect()
    yield "messages left", [it.body for it in run.waiting], []
    portfolio, is_stale = run.portfolio(), "STALE" in run.statuses()
    watching = portfolio.watching
    yield "status", portfolio.status, PortfolioStatus.STALE if is_stale else PortfolioStatus.ACTIVE
    yield "locked", portfolio.lock is not None, is_stale
    yield "epochs of the watches", watching.done, watching.begun
    yield "watches to be written", (watching.due, watching.pending), (None, None)
    rows = sorted(it["pk"]["S"].split("#")[1] for it in stored_items("watches"))
    yield "watches", rows, [] if is_stale else sorted(HELD)
    versions: dict[str, list[int]] = {}
    for record in commits():
        image = record["dynamodb"]["NewImage"]
        if "version" in image:
            versions.setdefault(image["sk"]["S"], []).append(int(image["version"]["N"]))
    for key, written in versions.items():
        yield f"versions of {key}", written, list(range(written[0], written[0] + len(written)))

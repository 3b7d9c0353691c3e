"""Invariants at the end of every run, whatever faults occurred."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tests.faults.execution.scenario_run import DEPOSIT, HELD, Outcome, ScenarioRun
from tests.support.moto_state import commits, stored_items
from trimtab.contracts.events import unpack_events
from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.kernel.money import ZERO, plain
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType, fold
from trimtab.portfolios.rebalancing.journal import Execution
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.runtime.dynamodb.client import deserialize

OUTCOME_EVENTS = ("rebalance.completed", "rebalance.rolled_back", "rebalance.cancelled", "rebalance.rejected")
Fact = tuple[str, Any, Any]


def violations(run: ScenarioRun, *ends: tuple[str, ...]) -> list[str]:
    """Return what was lost or doubled; empty if nothing was. `ends`: allowed final states of the rebalances."""
    allowed = ends or (run.scenario.ends,)
    with run.runner.faults.paused():
        found = list(run.failures)
        if run.statuses() not in allowed:
            found.append(f"ended {run.statuses()}, not {allowed}")
        facts = [*_of_the_ledger(run), *_of_the_rebalances(run), *_of_the_portfolio(run)]
        return found + [f"{what}: {have!r}, not {want!r}" for what, have, want in facts if have != want]


def checked(run: ScenarioRun, *ends: tuple[str, ...]) -> list[str]:
    """Return the violations, including those after a second delivery of all messages and stream records."""
    found = violations(run, *ends)
    if found:
        return found
    before = outcome(run)
    after = outcome(run.repeat_everything())
    return [f"delivered again: {after}, not {before}"] * (before != after) + run.failures


def outcome(run: ScenarioRun) -> Outcome:
    """Return the state that a redelivery must not change."""
    items = [item for item in stored_items() if item["sk"]["S"].startswith(("REBALANCE#", "TRADE#", "CASH#"))]
    portfolio = run.portfolio()
    state = (portfolio.status, portfolio.lock, portfolio.cash, portfolio.holdings)
    return sorted(items, key=str), state, list(run.fills()), sorted(events())


def trades() -> list[Trade]:
    """Return all trades, of clients and of rebalances."""
    return [Trade.from_item(deserialize(item)) for item in stored_items() if item["sk"]["S"].startswith("TRADE#")]


def events() -> list[tuple[str, str]]:
    """Return the type of each committed event, and the rebalance in its data."""
    texts = [record["dynamodb"]["NewImage"].get("events", {"S": '{"v":1}'})["S"] for record in commits()]
    return [(event.type, event.data.get("rebalance_id", "")) for text in texts for event in unpack_events(text)]


def _of_the_ledger(run: ScenarioRun) -> Iterator[Fact]:
    portfolio, fills, found = run.portfolio(), run.fills(), trades()
    deposits = sum(
        (Decimal(deserialize(item)["amount"]) for item in stored_items() if "CASH#" in item["sk"]["S"]), ZERO
    )
    own = [trade for trade in found if trade.rebalance_id]
    bought = {symbol: Decimal(quantity) for symbol, quantity in HELD.items()}
    spent = sum((quantity * 100 for quantity in bought.values()), ZERO)
    for fill in fills:
        bought[fill.symbol] += fill.quantity if fill.side == "BUY" else -fill.quantity
        spent += fill.amount if fill.side == "BUY" else -fill.amount
    times = Counter(fill.client_order_id for fill in fills)
    yield "ids with more than one fill", [id for id, count in times.items() if count > 1], []
    yield "quantities, and fills at the broker", run.quantities(), bought
    yield "cash, and fills at the broker", portfolio.cash, deposits - spent
    yield "deposited", deposits >= DEPOSIT, True
    yield (
        "trades, and fills",
        sorted((trade.ref_id, trade.symbol, trade.side.value, trade.quantity, trade.amount) for trade in own),
        sorted((fill.client_order_id, fill.symbol, fill.side, fill.quantity, fill.amount) for fill in fills),
    )
    moved = sum((trade.cash_change(portfolio.cash_rule) for trade in found), ZERO)
    yield "cash, and its movements", portfolio.cash, deposits + moved
    for symbol in HELD:
        effects = [trade.effect for trade in found if trade.symbol == symbol and trade.effect]
        folded = fold(Holding(symbol, SecurityType.STOCK), effects, ())
        held = portfolio.holdings[symbol]
        yield f"holding of {symbol}, and the fold of its trades", held, folded


def _of_the_rebalances(run: ScenarioRun) -> Iterator[Fact]:
    rebalances, committed = run.rebalances(), events()
    outcomes = Counter(id for type, id in committed if type in OUTCOME_EVENTS)
    for rebalance in rebalances:
        status, execution = rebalance.status.value, rebalance.execution
        yield f"{rebalance.rebalance_id} is open", rebalance.is_open, False
        has_outcome = status not in {"STALE", "RESOLVED"}
        yield f"events of the outcome {status}", outcomes[rebalance.rebalance_id], int(has_outcome)
        assert execution is not None
        unposted = [order.symbol for order in execution.orders if order.filled and not order.is_posted]
        yield "filled and not posted", unposted, []
        if status == "ROLLED_BACK" and len(rebalances) == 1:
            yield from _of_the_rollback(run, rebalance, execution)
    stale = sum(type == "portfolio.stale" for type, _ in committed)
    yield "alerts", stale, sum(rebalance.status.value in {"STALE", "RESOLVED"} for rebalance in rebalances)
    yield "events of something stuck", sum(type == "rebalance.stuck" for type, _ in committed), 0


def _of_the_rollback(run: ScenarioRun, rebalance: Rebalance, execution: Execution) -> Iterator[Fact]:
    """Only what cash could not pay for is missing after a rollback: all cash but the buffer was used to buy back."""
    missing, cash = execution.unrestored, run.portfolio().cash or ZERO
    assert rebalance.reason is not None
    assert execution.funds is not None
    restored = {name: held - missing.get(name, ZERO) for name, held in HELD.items()}
    yield "quantities rolled back", run.quantities(), restored
    yield "net fills", dict(execution.net_fills()), {name: -quantity for name, quantity in missing.items()}
    named = rebalance.reason.details.get("not_bought_back", {})
    yield "named as not bought back", named, {name: plain(quantity) for name, quantity in missing.items()}
    cost = sum((quantity * run.prices[name] for name, quantity in missing.items()), ZERO)
    yield "could have been bought back", bool(missing) and cost <= cash, False
    yield "cash kept instead", bool(missing) and cash > execution.funds.buffer + Decimal("0.02") * len(missing), False


def _of_the_portfolio(run: ScenarioRun) -> Iterator[Fact]:
    run.collect()
    yield "messages left", [message.body for message in run.waiting], []
    portfolio, is_stale = run.portfolio(), "STALE" in run.statuses()
    watch_state = portfolio.watch_state
    yield "status", portfolio.status, PortfolioStatus.STALE if is_stale else PortfolioStatus.ACTIVE
    yield "locked", portfolio.lock is not None, is_stale
    yield "epochs of the watches", watch_state.epoch_done, watch_state.epoch_started
    yield "watches to be written", (watch_state.evaluation_due, watch_state.evaluation_pending), (None, None)
    rows = sorted(item["pk"]["S"].split("#")[1] for item in stored_items("watches"))
    yield "watches", rows, [] if is_stale else sorted(HELD)
    versions: dict[str, list[int]] = {}
    for record in commits():
        image = record["dynamodb"]["NewImage"]
        if "version" in image:
            versions.setdefault(image["sk"]["S"], []).append(int(image["version"]["N"]))
    for key, written in versions.items():
        yield f"versions of {key}", written, list(range(written[0], written[0] + len(written)))

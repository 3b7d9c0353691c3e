"""Events of a portfolio. Events that a person has to act on say what to do in `remedy`."""

from datetime import datetime

from trimtab.contracts.events import Event
from trimtab.kernel.clock import format_time
from trimtab.portfolios.portfolio.brake import Quarantine

RESOLVE = (
    "Compare the holdings with the broker's account (GET /portfolios/{id}/broker), then enter the actual holdings and "
    "cash with POST /portfolios/{id}/resolve."
)
READ_REBALANCE = (
    "Read the orders and their refusals at GET /portfolios/{id}/rebalances/{rebalance_id}. Automatic rebalances "
    "continue after the pause; POST /portfolios/{id}/rebalances runs one at once."
)
REDRIVE = (
    "Find the error in the log of the execution function, and redrive the dead-letter queue of rebalance-executions: "
    "the rebalance continues. GET /portfolios/{id}/rebalances/{rebalance_id} shows the orders."
)
LIFT_QUARANTINE = (
    "Clear the refusal with the broker, then lift the quarantine with DELETE /portfolios/{id}/quarantine/{symbol}, or "
    "remove the symbol from the target."
)


READ_CHECK = "Read the reason of the newest check at GET /portfolios/{id}/checks/last."
RELEASE_PRICE = (
    "Read the symbols at GET /portfolios/{id}/checks/last and the price at GET /quotes/{{symbol}}. Release a right "
    "price, or withdraw a wrong one with DELETE /quotes/{{symbol}}."
)
LIFT_HALT = "Read the halt at GET /halt, find its cause, and lift the halt with DELETE /halt."


def portfolio_event(type: str, portfolio_id: str, user_id: str, name: str, **details: str | int) -> Event:
    """Return an event about a portfolio, with further members of the event's data."""
    return Event(type, {"portfolio_id": portfolio_id, "user_id": user_id, "name": name, **details})


def remedy(text: str, portfolio_id: str, *, rebalance_id: str = "", symbol: str = "") -> str:
    """Return the text of a remedy with the ids of the portfolio, the rebalance and the symbol filled in."""
    return text.format(id=portfolio_id, rebalance_id=rebalance_id, symbol=symbol)


def stale_event(portfolio_id: str, user_id: str, name: str, *, reason: str, rebalance_id: str) -> Event:
    """Return the event that alerts an operator of a STALE portfolio."""
    return portfolio_event(
        "portfolio.stale",
        portfolio_id,
        user_id,
        name,
        reason=reason,
        rebalance_id=rebalance_id,
        remedy=remedy(RESOLVE, portfolio_id),
    )


def backing_off_event(
    portfolio_id: str, user_id: str, name: str, *, reason_code: str, rebalance_id: str, until: datetime
) -> Event:
    """Return the event that alerts an operator of the first rolled back rebalance of an episode."""
    return portfolio_event(
        "portfolio.backing_off",
        portfolio_id,
        user_id,
        name,
        reason_code=reason_code,
        rebalance_id=rebalance_id,
        until=format_time(until),
        remedy=remedy(READ_REBALANCE, portfolio_id, rebalance_id=rebalance_id),
    )


def quarantined_event(portfolio_id: str, user_id: str, name: str, *, symbol: str, quarantine: Quarantine) -> Event:
    """Return the event that alerts an operator of a symbol in quarantine."""
    return portfolio_event(
        "symbol.quarantined",
        portfolio_id,
        user_id,
        name,
        symbol=symbol,
        restriction=quarantine.restriction.value,
        reason=quarantine.reason,
        rebalance_id=quarantine.rebalance_id,
        until=format_time(quarantine.until),
        remedy=remedy(LIFT_QUARANTINE, portfolio_id, symbol=symbol),
    )

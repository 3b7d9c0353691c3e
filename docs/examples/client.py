"""A client in Python: create a portfolio, trade, follow a rebalance, read pages, handle a problem.

Run `python client.py BASE_URL TOKEN`; `trimtab_client` is the package that openapi-python-client generates.
"""

import sys
import time
from typing import Any

import httpx
from trimtab_client import AuthenticatedClient
from trimtab_client.api.portfolios import create_portfolio
from trimtab_client.api.rebalances import get_rebalance, request_rebalance
from trimtab_client.api.trades import list_trades, record_trade
from trimtab_client.models import CreatePortfolio, Problem, RecordTrade, RequestRebalance
from trimtab_client.types import UNSET

PENDING = ("REQUESTED", "PLANNED", "EXECUTING", "COMPENSATING")
ATTEMPTS = 120


class ApiError(Exception):
    """A problem document instead of the expected response. Decide by its `type`, and show its `detail` to people."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.type_}: {problem.detail}")
        self.problem = problem


def call(operation: Any, *path: str, client: AuthenticatedClient, **request: Any) -> Any:
    """Return the response of an operation, repeated after `Retry-After` seconds while the service is busy."""
    for _ in range(ATTEMPTS):
        response = operation.sync_detailed(*path, client=client, **request)
        if response.status_code not in {429, 503}:
            break
        time.sleep(float(response.headers.get("Retry-After", 1)))
    if isinstance(response.parsed, Problem):
        raise ApiError(response.parsed)
    return response.parsed


def main(base_url: str, token: str) -> None:
    """Show one line for each step."""
    client = AuthenticatedClient(base_url, token=token, timeout=httpx.Timeout(60))
    target = {"user_id": "ada", "allocation": {"stocks": 60, "bonds": 30, "gold": 10}, "cash": "1000.00"}
    portfolio = call(create_portfolio, client=client, body=CreatePortfolio.from_dict(target))
    print("target", *(f"{asset}={weight}" for asset, weight in portfolio.allocation.additional_properties.items()))

    for number in range(3):  # a repeated `ref_id` has no further effect
        trade = {"ref_id": f"t{number}", "side": "BUY", "security_type": "stock", "symbol": "AAPL"}
        bought = RecordTrade.from_dict({**trade, "quantity": "1", "amount": "10.00"})
        call(record_trade, portfolio.portfolio_id, client=client, body=bought)

    report = {"user_id": "ada", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}, "request_id": "drift-1"}
    accepted = call(request_rebalance, client=client, body=RequestRebalance.from_dict(report))
    for _ in range(ATTEMPTS):
        rebalance = call(get_rebalance, portfolio.portfolio_id, accepted.rebalance_id, client=client)
        if rebalance.status not in PENDING:
            break
        time.sleep(1)
    for change in sorted(rebalance.transactions, key=lambda each: each.asset):
        print(rebalance.status, change.action, change.asset, change.rebalance_percent)

    cursor, symbols = UNSET, []
    while cursor is not None:
        page = call(list_trades, portfolio.portfolio_id, client=client, limit=2, cursor=cursor)
        symbols += [f"{each.side} {each.symbol} {each.amount}" for each in page.items]
        cursor = page.next_cursor
    print("trades", *symbols)

    try:
        incomplete = CreatePortfolio.from_dict({"user_id": "ada", "name": "other", "allocation": {"stocks": 60}})
        call(create_portfolio, client=client, body=incomplete)
    except ApiError as error:
        print(error.problem.type_, *(each.field for each in error.problem.errors or []))


if __name__ == "__main__":
    main(*sys.argv[1:])

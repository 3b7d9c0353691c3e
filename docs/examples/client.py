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

PENDING, ATTEMPTS = ("REQUESTED", "PLANNED", "EXECUTING", "COMPENSATING"), 120
client = AuthenticatedClient(sys.argv[1], token=sys.argv[2], timeout=httpx.Timeout(60))


def call(operation: Any, *path: str, **request: Any) -> Any:
    """Return the response of an operation, repeated after `Retry-After` seconds while the service is busy."""
    for _ in range(ATTEMPTS):
        response = operation.sync_detailed(*path, client=client, **request)
        if response.status_code not in {429, 503}:
            break
        time.sleep(float(response.headers.get("Retry-After", 1)))
    return response.parsed


target = {"user_id": "ada", "allocation": {"stocks": 60, "bonds": 30, "gold": 10}, "cash": "1000.00"}
portfolio = call(create_portfolio, body=CreatePortfolio.from_dict(target))
print("target", *(f"{asset}={weight}" for asset, weight in portfolio.allocation.additional_properties.items()))

for ref_id in ("t0", "t1", "t2"):  # a repeated `ref_id` has no further effect
    trade = {"ref_id": ref_id, "side": "BUY", "security_type": "stock", "symbol": "AAPL", "quantity": 1, "amount": 10}
    call(record_trade, portfolio.portfolio_id, body=RecordTrade.from_dict(trade))

report = {"user_id": "ada", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}, "request_id": "drift-1"}
accepted = call(request_rebalance, body=RequestRebalance.from_dict(report))
for _ in range(ATTEMPTS):
    rebalance = call(get_rebalance, portfolio.portfolio_id, accepted.rebalance_id)
    if rebalance.status not in PENDING:
        break
    time.sleep(1)
for change in sorted(rebalance.transactions, key=lambda each: each.asset):
    print(rebalance.status, change.action, change.asset, change.rebalance_percent)

cursor, symbols = UNSET, []
while cursor is not None:
    page = call(list_trades, portfolio.portfolio_id, limit=2, cursor=cursor)
    symbols += [f"{each.side} {each.symbol} {each.amount}" for each in page.items]
    cursor = page.next_cursor
print("trades", *symbols)

problem = call(create_portfolio, body=CreatePortfolio.from_dict({"user_id": "ada", "allocation": {"stocks": 60}}))
if isinstance(problem, Problem):  # decide by the `type` of a problem, and show its `detail` to people
    print(problem.type_, *(each.field for each in problem.errors or []))

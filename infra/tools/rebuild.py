"""Compare the stored totals of a bettor with the totals recomputed from all orders of the bettor.

    python -m infra.tools.rebuild --table NAME --tenant T --user U [--repair]

`--repair` writes the recomputed totals where they differ, unless orders are being placed at the same time. The command
uses the AWS credentials of the environment; `make rebuild` runs the same on the local cloud.
"""

import argparse
import sys
from typing import TYPE_CHECKING

import boto3

from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.service.rebuild import TotalsComparison, TotalsRebuild
from trimtab.kernel.errors import Conflict

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


def rebuild(client: "DynamoDBClient", table: str, tenant_id: str, user_id: str, *, repair: bool) -> TotalsComparison:
    """Compare the stored with the recomputed totals; if `repair` is true, write the recomputed totals that differ."""
    return TotalsRebuild(BettingStore(client, table)).run(tenant_id, user_id, repair=repair)


def report(comparison: TotalsComparison) -> str:
    """Return a line per total, stored and recomputed; `!` marks a difference."""
    lines = []
    for name in comparison.stored.__struct_fields__:
        stored, recomputed = getattr(comparison.stored, name), getattr(comparison.recomputed, name)
        mark = "  " if stored == recomputed else "! "
        lines.append(f"{mark}{name:<18} stored {stored!s:>14}  recomputed {recomputed!s:>14}")
    lines += [f"! position in {market_id} differs" for market_id in comparison.wrong_positions]
    return "\n".join(lines)


def main() -> int:
    """Run the comparison; return the exit status, 1 if a total differs."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.rebuild", description=__doc__)
    parser.add_argument("--table", required=True, help="the name of the betting table")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--repair", action="store_true", help="write the recomputed totals where they differ")
    parsed = parser.parse_args()
    try:
        comparison = rebuild(boto3.client("dynamodb"), parsed.table, parsed.tenant, parsed.user, repair=parsed.repair)
    except Conflict as conflict:
        sys.stderr.write(f"{conflict.detail}\n")
        return 1
    sys.stdout.write(report(comparison) + "\n")
    return 0 if comparison.is_consistent else 1


if __name__ == "__main__":
    sys.exit(main())

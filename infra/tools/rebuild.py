"""Compare the stored totals of a bettor with the totals recomputed from all orders of the bettor.

    python -m infra.tools.rebuild --table NAME --tenant T --user U [--repair]

`--repair` writes the recomputed totals where they differ, unless orders are being placed at the same time. The command
uses the AWS credentials of the environment; `make rebuild` runs the same on the local cloud.
"""

import argparse
import sys
from typing import TYPE_CHECKING

import boto3

from trimtab.betting.adapters.book import DynamoBook
from trimtab.betting.service.accounts import Accounts, Rebuilt
from trimtab.kernel.errors import Conflict

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


def rebuild(client: "DynamoDBClient", table: str, tenant_id: str, user_id: str, *, repair: bool) -> Rebuilt:
    """Compare the stored with the recomputed totals; write the recomputed totals if `repair`."""
    return Accounts(DynamoBook(client, table)).rebuild(tenant_id, user_id, repair=repair)


def report(rebuilt: Rebuilt) -> str:
    """Return a line per total, stored and recomputed; `!` marks a difference."""
    lines = []
    for name in rebuilt.kept.__struct_fields__:
        stored, recomputed = getattr(rebuilt.kept, name), getattr(rebuilt.folded, name)
        mark = "  " if stored == recomputed else "! "
        lines.append(f"{mark}{name:<18} stored {stored!s:>14}  recomputed {recomputed!s:>14}")
    lines += [f"! position in {market_id} differs" for market_id in rebuilt.wrong_positions]
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
        rebuilt = rebuild(boto3.client("dynamodb"), parsed.table, parsed.tenant, parsed.user, repair=parsed.repair)
    except Conflict as conflict:
        sys.stderr.write(f"{conflict.detail}\n")
        return 1
    sys.stdout.write(report(rebuilt) + "\n")
    return 0 if rebuilt.is_right else 1


if __name__ == "__main__":
    sys.exit(main())

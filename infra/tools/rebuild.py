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
    """See `Accounts.rebuild`."""
    return Accounts(DynamoBook(client, table)).rebuild(tenant_id, user_id, repair=repair)


def report(rebuilt: Rebuilt) -> str:
    """The comparison, a line for each sum; what differs is marked."""
    lines = []
    for name in rebuilt.kept.__struct_fields__:
        kept, folded = getattr(rebuilt.kept, name), getattr(rebuilt.folded, name)
        lines.append(f"{'  ' if kept == folded else '! '}{name:<18} kept {kept!s:>14}  fold {folded!s:>14}")
    lines += [f"! position in {market_id} differs" for market_id in rebuilt.wrong_positions]
    return "\n".join(lines)


def main() -> int:
    """0 where what is kept is the fold, else 1."""
    parser = argparse.ArgumentParser(prog="python -m infra.tools.rebuild", description=__doc__)
    parser.add_argument("--table", required=True, help="the name of the table of betting")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--repair", action="store_true", help="write the fold where it differs")
    given = parser.parse_args()
    try:
        rebuilt = rebuild(boto3.client("dynamodb"), given.table, given.tenant, given.user, repair=given.repair)
    except Conflict as refused:
        sys.stderr.write(f"{refused.detail}\n")
        return 1
    sys.stdout.write(report(rebuilt) + "\n")
    return 0 if rebuilt.is_right else 1


if __name__ == "__main__":
    sys.exit(main())

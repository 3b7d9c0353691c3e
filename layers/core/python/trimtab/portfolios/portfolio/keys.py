"""Keys of the table `portfolios`: everything of one portfolio shares a partition."""

from datetime import datetime

from trimtab.kernel.clock import format_time, parse_time

PORTFOLIO = "PORTFOLIO"


def partition_of(tenant_id: str, portfolio_id: str) -> str:
    """Return the partition key of a portfolio and of everything stored beside it."""
    return f"T#{tenant_id}#P#{portfolio_id}"


def portfolio_id_in(partition: str) -> str:
    """Return the portfolio id that a partition key names."""
    return partition.rpartition("#")[2]


def item_key(tenant_id: str, portfolio_id: str, sort_key: str = PORTFOLIO) -> dict[str, str]:
    """Return the key of the portfolio item, or of another item in its partition."""
    return {"pk": partition_of(tenant_id, portfolio_id), "sk": sort_key}


def time_text(instant: datetime | None) -> str | None:
    """Return the stored text of an optional instant."""
    return None if instant is None else format_time(instant)


def instant_of(text: str | None) -> datetime | None:
    """Return the optional instant of a stored text."""
    return None if text is None else parse_time(text)

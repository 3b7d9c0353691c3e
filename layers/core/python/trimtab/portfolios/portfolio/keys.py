"""Keys of the table `portfolios`: the items of one portfolio share a partition."""

PORTFOLIO = "PORTFOLIO"


def partition_of(tenant_id: str, portfolio_id: str) -> str:
    """Return the partition key of a portfolio and of everything stored beside the portfolio."""
    return f"T#{tenant_id}#P#{portfolio_id}"


def portfolio_id_in(partition: str) -> str:
    """Return the portfolio id in a partition key.

    >>> portfolio_id_in(partition_of("demo", "9f86d081"))
    '9f86d081'
    """
    return partition.rpartition("#")[2]


def item_key(tenant_id: str, portfolio_id: str, sort_key: str = PORTFOLIO) -> dict[str, str]:
    """Return the key of the portfolio item, or of another item in the partition of the portfolio."""
    return {"pk": partition_of(tenant_id, portfolio_id), "sk": sort_key}


def tenant_partition(tenant_id: str) -> str:
    """Return the partition of the index `by_tenant` with the portfolios of a tenant."""
    return f"T#{tenant_id}"


def attention_partition(tenant_id: str) -> str:
    """Return the partition of the index `pending_jobs` with the portfolios of a tenant that wait for a person."""
    return f"ATTENTION#T#{tenant_id}"


def user_partition(tenant_id: str, user_id: str) -> str:
    """Return the partition of the index `by_user` with the portfolios of a user."""
    return f"T#{tenant_id}#U#{user_id}"

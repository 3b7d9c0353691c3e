"""The keys of the table `betting`. Identifiers contain no `#`, so no identifier can forge the key of another item."""

ORDER, TOTALS, MARKET = "ORDER", "TOTALS", "MARKET"
POSITION, INSIGHT, USER = "POSITION#", "INSIGHT#", "USER#"

ItemKey = dict[str, str]


def order_key(tenant_id: str, order_id: str) -> ItemKey:
    """Return the key of an order."""
    return {"pk": f"T#{tenant_id}#O#{order_id}", "sk": ORDER}


def user_partition(tenant_id: str, user_id: str) -> str:
    """Return the partition of a user: positions and totals in the table, orders in the indexes."""
    return f"T#{tenant_id}#U#{user_id}"


def market_partition(tenant_id: str, market_id: str) -> str:
    """Return the partition of a market: its closing, users and insights in the table, orders in the indexes."""
    return f"T#{tenant_id}#M#{market_id}"


def position_key(tenant_id: str, user_id: str, market_id: str) -> ItemKey:
    """Return the key of the position of a user in a market."""
    return {"pk": user_partition(tenant_id, user_id), "sk": POSITION + market_id}


def totals_key(tenant_id: str, user_id: str) -> ItemKey:
    """Return the key of the totals of a user over all markets."""
    return {"pk": user_partition(tenant_id, user_id), "sk": TOTALS}


def market_key(tenant_id: str, market_id: str) -> ItemKey:
    """Return the key of a market; a market that was never changed has no item."""
    return {"pk": market_partition(tenant_id, market_id), "sk": MARKET}


def market_user_key(tenant_id: str, market_id: str, user_id: str) -> ItemKey:
    """Return the key of the item that lists a user among the users of a market."""
    return {"pk": market_partition(tenant_id, market_id), "sk": USER + user_id}


def insight_key(tenant_id: str, market_id: str, selection_id: str) -> ItemKey:
    """Return the key of the newest insight on a selection."""
    return {"pk": market_partition(tenant_id, market_id), "sk": INSIGHT + selection_id}

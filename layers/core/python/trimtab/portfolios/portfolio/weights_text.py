"""Weights as one text of an item: a map of ninety assets would cost three times the time and twice the size."""

from collections.abc import Mapping
from decimal import Decimal

from trimtab.kernel.money import plain


def pack_weights(weights: Mapping[str, Decimal]) -> str | None:
    """Return the text of the weights, None for no weights."""
    return ",".join(f"{asset}:{plain(weight)}" for asset, weight in weights.items()) or None


def unpack_weights(text: str | None) -> dict[str, Decimal]:
    """Return the weights of a text."""
    rows = [row.split(":") for row in text.split(",")] if text else []
    return {asset: Decimal(weight) for asset, weight in rows}

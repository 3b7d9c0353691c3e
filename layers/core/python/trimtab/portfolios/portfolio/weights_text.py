"""Weights as JSON text with assets as names and numbers as exact decimals: `{"AAPL":60,"MSFT":39.9975}`.

Weights are rewritten with every version of a portfolio. Numbers without quotes and without trailing zeros keep an
allocation of 50 assets within one write unit; a DynamoDB map takes three times as long to read and write.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from trimtab.kernel.money import plain

_encoder = msgspec.json.Encoder(decimal_format="number")


def pack_weights(weights: Mapping[str, Decimal]) -> str | None:
    """Return the text of weights by asset, None for no weights.

    >>> pack_weights({"AAPL": Decimal("60.0000"), "MSFT": Decimal("39.9975")})
    '{"AAPL":60,"MSFT":39.9975}'
    """
    shortest = {asset: Decimal(plain(weight)) for asset, weight in weights.items()}
    return _encoder.encode(shortest).decode() if shortest else None


def unpack_weights(text: str | None) -> dict[str, Decimal]:
    """Return the weights of a text, exactly as they were packed."""
    return msgspec.json.decode(text, type=dict[str, Decimal]) if text else {}

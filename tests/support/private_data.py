"""Texts that no log line may have: tokens, mail addresses and secrets."""

from collections.abc import Iterable

PRIVATE = ("@example", "Authorization", "Bearer", "eyJ", "whsec_")
"""Parts of the addresses, tokens and secrets that tests use."""


def private_lines(lines: Iterable[str], *names: str) -> dict[str, str]:
    """Return the beginning of a line with private data for each private text and each of these names found."""
    return {text: line[:400] for line in lines for text in (*PRIVATE, *names) if text in line}

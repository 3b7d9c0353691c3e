"""Providers of daily bars and splits."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Protocol

from trimtab.market.domain.bars import ProvidedBar, ProvidedSplit


class ProviderFailed(Exception):
    """Raised if a provider has no usable response, or no bars of the day yet; a retry may succeed later."""


class BarProvider(Protocol):
    """A provider of daily bars and splits."""

    @property
    def name(self) -> str:
        """The source named in every bar of the provider."""

    def daily_bars(self, day: date) -> Iterable[ProvidedBar]:
        """Return the unadjusted bars of all symbols; raises `ProviderFailed`. Unreadable numbers are None."""

    def splits(self, day: date) -> Sequence[ProvidedSplit]:
        """Return the splits that take effect on the day; raises `ProviderFailed`."""

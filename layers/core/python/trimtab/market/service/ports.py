"""What the market services need from outside."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Protocol, TypeVar

from trimtab.contracts.assets import AssetRecord, Sector
from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import Quote, Split
from trimtab.kernel.pages import Page
from trimtab.market.domain.bars import ProvidedBar, ProvidedSplit
from trimtab.market.domain.ingested import IngestedDay, Untold

T = TypeVar("T")


class ProviderFailed(Exception):
    """The source of bars gave no usable answer, or has no bars of the day yet: the same may be asked again later."""


class BarProvider(Protocol):
    """A source of daily bars."""

    @property
    def name(self) -> str:
        """The source, as each bar names it."""

    def grouped_daily(self, day: date) -> Iterable[ProvidedBar]:
        """The unadjusted bars of all its symbols; raises `ProviderFailed`. A row that cannot be read has gaps."""

    def splits(self, day: date) -> Sequence[ProvidedSplit]:
        """The splits that take effect on the day; raises `ProviderFailed`."""


class AssetStore(Protocol):
    """Keeps assets."""

    def asset(self, symbol: str) -> AssetRecord | None:
        """The asset, read consistently."""

    def put_asset(self, asset: AssetRecord) -> None:
        """Stores it on the version before; raises `ConditionFailed` otherwise."""

    def list_assets(self, sector: Sector | None, *, limit: int, after: Any) -> Page[AssetRecord]:
        """A page of the sector's assets by symbol, or of all assets by sector; raises `Invalid` for a position that
        is none."""


class ActiveAssets(Protocol):
    """Knows which assets get bars."""

    def active_symbols(self) -> list[str]:
        """The symbols of all active assets, sorted."""


class BarPages(Protocol):
    """Lists bars."""

    def page_of_bars(self, symbol: str, first: date, last: date, *, limit: int, after: Any) -> Page[Bar]:
        """A page of the symbol's bars of these days, newest first; raises `Invalid` for a position that is none."""


class BarStore(Protocol):
    """Keeps bars and the marks of the days whose bars are stored."""

    def bars_of(self, symbols: Sequence[str], days: Sequence[date]) -> Mapping[tuple[str, date], Bar]:
        """The bars of these symbols on these days that are there, read consistently."""

    def put_bars(self, bars: Sequence[Bar]) -> None:
        """Stores them, whatever is there; ends half-way where something fails."""

    def splits_of(self, symbols: Sequence[str]) -> Mapping[str, Sequence[Split]]:
        """The splits of each of these symbols that has some."""

    def marked(self, days: Sequence[date]) -> Mapping[date, IngestedDay]:
        """The marks of these days that are there, read consistently."""

    def put_mark(self, mark: IngestedDay) -> None:
        """Stores it with its events on the version before; raises `ConditionFailed` otherwise."""

    def untold(self) -> Untold | None:
        """What nobody was told of, read consistently; None where there never was such a thing."""

    def put_untold(self, untold: Untold) -> None:
        """Stores it with its events on the version before; raises `ConditionFailed` otherwise."""


class SplitDesk(Protocol):
    """Where splits are entered: the market's own service."""

    def enter_split(self, symbol: str, split: Split) -> Quote:
        """With the split among the symbol's splits; `Conflict` where another one of its day is there."""

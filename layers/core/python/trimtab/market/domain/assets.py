"""Versions of an asset: equal data change nothing, different data are the next version."""

from msgspec.structs import replace

from trimtab.contracts.assets import AssetRecord


def enter_asset(stored: AssetRecord | None, asset: AssetRecord) -> AssetRecord:
    """Return the asset in the version that follows the stored one, or the stored asset if the data are equal."""
    before = stored.version if stored else 0
    if stored is not None and replace(asset, version=before) == stored:
        return stored
    return replace(asset, version=before + 1)

"""What is said of an asset: a repeat changes nothing, anything else is a new version."""

from msgspec.structs import replace

from trimtab.contracts.assets import AssetRecord


def entered(stored: AssetRecord | None, asset: AssetRecord) -> AssetRecord:
    """The asset as it stands after this was said of it: the stored one where it says the same."""
    before = stored.version if stored else 0
    if stored is not None and replace(asset, version=before) == stored:
        return stored
    return replace(asset, version=before + 1)

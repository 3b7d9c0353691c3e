"""The examples in docstrings of the kernel, contracts, HTTP and every pure domain package run as written."""

import doctest
import importlib
import pkgutil

import pytest

import trimtab

PURE = {"kernel", "contracts", "charts"}
"""The packages that are pure as a whole; below any other package, everything named `domain` or holding no I/O."""


def _pure_modules() -> list[str]:
    found = []
    for module in pkgutil.walk_packages(trimtab.__path__, "trimtab."):
        parts = module.name.split(".")
        if parts[1] in PURE or "domain" in parts or parts[1] == "portfolios" or parts[1:3] == ["runtime", "http"]:
            found.append(module.name)
    return found


@pytest.mark.parametrize("name", _pure_modules())
def test_examples_in_docstrings_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_examples_are_found() -> None:
    names = ["trimtab.kernel.money", "trimtab.kernel.ids", "trimtab.kernel.trading_days"]
    assert all(doctest.testmod(importlib.import_module(name)).attempted for name in names)

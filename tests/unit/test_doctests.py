"""The examples in the docstrings of the kernel, the contracts and the rules of portfolios give what they show."""

import doctest
import importlib
import pkgutil

import pytest

import trimtab.contracts
import trimtab.kernel
import trimtab.portfolios

PACKAGES = [trimtab.kernel, trimtab.contracts, trimtab.portfolios]
MODULES = sorted(
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.ispkg
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_module_are_right(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0

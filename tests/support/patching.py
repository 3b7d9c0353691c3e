"""Replace a function in every module that has imported it."""

import sys
from collections.abc import Callable
from typing import Any

import pytest


def patch_everywhere(patch: pytest.MonkeyPatch, function: Callable[..., Any], replacement: Callable[..., Any]) -> None:
    """Replace the function under each of its names in the modules of the project."""
    for name, module in list(sys.modules.items()):
        if name.startswith("trimtab."):
            for attribute, value in list(vars(module).items()):
                if value is function:
                    patch.setattr(module, attribute, replacement)

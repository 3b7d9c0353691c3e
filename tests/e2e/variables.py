"""Other environment variables of deployed functions for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.conftest import System


@contextmanager
def changed_variables(system: System, known: str, function: str = "", **variables: str) -> Iterator[None]:
    """Set variables of each function that has the variable `known` and whose name ends with `function`."""
    functions = system.aws("lambda")
    before = {
        each["FunctionName"]: each["Environment"]["Variables"]
        for page in functions.get_paginator("list_functions").paginate()
        for each in page["Functions"]
        if known in each.get("Environment", {}).get("Variables", {}) and each["FunctionName"].endswith(function)
    }
    assert before
    for name, unchanged in before.items():
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": unchanged | variables})
    try:
        yield
    finally:
        for name, unchanged in before.items():
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": unchanged})

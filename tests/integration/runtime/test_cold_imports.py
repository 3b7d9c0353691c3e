"""Modules that a cold start loads, beside those of Python: counts that grow unnoticed with each import."""

import os
import subprocess
import sys

import pytest

from infra.config import ROOT
from infra.tools.bundling import CORE

COUNT = """
import sys
from functions.{function} import handler
ours = (name for name in sys.modules if name.partition(".")[0] not in sys.stdlib_module_names)
loaded = [name for name in ours if not name.startswith("_")]
print(len(loaded), *sorted({{name.partition(".")[0] for name in loaded}}))
"""


@pytest.mark.parametrize(
    ("function", "most"),
    [
        ("portfolios_api", 450),
        ("betting_api", 400),
        ("rebalancing_on_rebalance_requested", 350),
        ("market_on_quote_received", 360),
        ("balancing_on_commit", 300),
        ("authorizer", 200),
    ],
)
def test_a_cold_start_loads_no_more_modules_than_its_budget_and_no_boto3(function: str, most: int) -> None:
    command = [sys.executable, "-c", COUNT.format(function=function)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, CORE)))}
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    count, *packages = told.split()

    assert int(count) <= most
    assert not {"boto3", "s3transfer", "moto"} & {*packages}

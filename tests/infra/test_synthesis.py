"""The templates as a whole: free of policy findings, reproducible, and built for their target."""

import json
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from aws_cdk.assertions import Annotations, Match
from cdk_nag import AwsSolutionsChecks

from infra.config import Config
from infra.local.issuer import TokenIssuer
from infra.settings import host, lambda_arm64
from infra.tools.bundling import LAYERS, Bundler
from tests.infra.conftest import DEVELOPMENT, LOCALSTACK, PRODUCTION, PRODUCTION_HERE, Synthesised, synthesise

Synthesise = Callable[[Config], Synthesised]
_AARCH64 = 183  # EM_AARCH64


def test_production_passes_the_policy_checks(production: Synthesised) -> None:
    for stack in (production.retained, production.service, production.monitoring):
        assert stack
        assert not AwsSolutionsChecks(production.app).validate_scope(stack).violations


def test_a_deployment_with_the_example_sender_is_warned_that_no_mail_is_sent(production: Synthesised) -> None:
    warnings = Annotations.from_stack(production.service).find_warning("*", Match.any_value())

    assert ["set an address that SES has verified" in str(warning.entry.data) for warning in warnings] == [True]


def test_the_development_environment_passes_the_policy_checks(synthesised: Synthesise) -> None:
    assert synthesised(_here(DEVELOPMENT)).directory.exists()  # a violation fails the synthesis


def test_two_syntheses_give_the_same_templates_and_assets(production: Synthesised, tmp_path: Path) -> None:
    again = synthesise(PRODUCTION_HERE, tmp_path)

    for name in ("trimtab-prod-retained", "trimtab-prod-service", "trimtab-prod-monitoring"):
        for kind in ("template", "assets"):
            first, second = (stacks.directory / f"{name}.{kind}.json" for stacks in (production, again))
            assert json.loads(first.read_text()) == json.loads(second.read_text())


def test_code_for_aws_is_built_for_arm64_and_python_3_13() -> None:
    assert PRODUCTION.target == lambda_arm64()

    layers = {name: Bundler(lambda_arm64()).layer(name).path / "python" for name in ("dependencies", "rpc", "pictures")}
    # The names of wheels for the stable ABI contain no version of Python and no machine.
    libraries = [*layers["dependencies"].glob("pydantic_core/*.so"), *layers["rpc"].rglob("*.so")]
    libraries += layers["pictures"].rglob("*.so")

    assert all(any(name in str(path) for path in libraries) for name in ("rpc", "resvg"))
    assert all("cpython-313-aarch64" in path.name or path.name.endswith(".abi3.so") for path in libraries)
    assert {_machine(path) for path in libraries} == {_AARCH64}


def _machine(library: Path) -> int:
    """Return the machine field of the ELF header."""
    (machine,) = struct.unpack("<H", library.read_bytes()[18:20])
    return int(machine)


def test_byte_code_is_compiled_for_the_target_and_never_checked_against_the_source() -> None:
    function = Bundler(host()).function("portfolios_api", inline_layers=LAYERS).path
    roots = [function / "functions", function / "trimtab"]
    compiled = [path for root in roots for path in root.rglob("*.pyc")]

    sources = {path for root in roots for path in root.rglob("*.py")}
    assert {path.parent.parent / f"{path.name.split('.')[0]}.py" for path in compiled} == sources
    for path in compiled:
        assert sys.implementation.cache_tag in path.name
        (flags,) = struct.unpack("<I", path.read_bytes()[4:8])
        assert flags == 0b01  # hash-based, unchecked


def test_a_function_with_inlined_layers_holds_all_imported_packages() -> None:
    bundle = Bundler(host()).function("betting_rpc", inline_layers=(*LAYERS, "rpc")).path

    assert LOCALSTACK.inline_layers
    assert (bundle / "functions" / "betting_rpc" / "handler.py").exists()
    assert all((bundle / name).is_dir() for name in ("trimtab", "pydantic", "connectrpc"))


def test_only_the_owner_can_read_the_key_of_the_local_issuer(tmp_path: Path) -> None:
    key = tmp_path / "issuer.pem"
    TokenIssuer(key).create()

    assert key.stat().st_mode & 0o777 == 0o600
    assert "d" not in TokenIssuer(key).jwks()["keys"][0]


def _here(config: Config) -> Config:
    return replace(config, target=host())

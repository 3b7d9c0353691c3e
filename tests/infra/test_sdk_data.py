"""The SDK of the layer: it knows each service that a function calls, and the endpoints that the whole SDK knows."""

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from botocore.loaders import Loader
from botocore.session import Session

from infra.config import ROOT
from infra.settings import host
from infra.tools.bundling import Bundler
from infra.tools.sdk_data import SERVICES

REGIONS = ("us-east-1", "eu-central-1", "ap-southeast-7", "us-gov-west-1", "cn-north-1", "eusc-de-east-1")


def test_the_layer_has_the_services_of_all_clients_that_functions_make_and_no_others() -> None:
    called = {name for folder in ("functions", "layers/core") for name in _clients(ROOT / folder)}

    assert called == set(SERVICES)
    assert {path.name for path in (_layer() / "botocore" / "data").iterdir() if path.is_dir()} == called


@pytest.mark.parametrize("service", SERVICES)
def test_clients_with_the_trimmed_data_have_the_operations_and_addresses_of_the_whole_sdk(service: str) -> None:
    for region in REGIONS:
        trimmed, whole = (
            session.create_client(
                service, region_name=region, aws_access_key_id="test", aws_secret_access_key="test", api_version=None
            )
            for session in (_trimmed_session(), Session())
        )

        assert trimmed.meta.endpoint_url == whole.meta.endpoint_url
        parameters, all_parameters = (
            client.meta.service_model.client_context_parameters for client in (trimmed, whole)
        )
        assert parameters == all_parameters
        assert trimmed.meta.method_to_api_mapping == whole.meta.method_to_api_mapping
        for operation in whole.meta.service_model.operation_names:
            trimmed_shape, shape = (
                client.meta.service_model.operation_model(operation).input_shape for client in (trimmed, whole)
            )
            assert (trimmed_shape and list(trimmed_shape.members)) == (shape and list(shape.members))


def _clients(folder: Path) -> Iterator[str]:
    """Yield the service of each call `aws_client("service", …)` below a folder."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="aws_client"), args=[ast.Constant(value=str(name)), *_]):
                    yield name


@lru_cache(maxsize=1)
def _layer() -> Path:
    return Bundler(host()).layer("dependencies").path / "python"


def _trimmed_session() -> Session:
    session = Session()
    data = str(_layer() / "botocore" / "data")
    session.register_component("data_loader", Loader(extra_search_paths=[data], include_default_search_paths=False))
    return session

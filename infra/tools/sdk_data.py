"""Trims the data of botocore in a layer to the services that the functions call.

Each new client lists all services and parses the endpoints of all of them, a tenth of a cold start. The layer brings an
SDK of its own, so that code and data fit each other, and are the same on AWS and on local clouds.
"""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

SERVICES = (
    "apigatewaymanagementapi",
    "cloudwatch",
    "dynamodb",
    "events",
    "s3",
    "secretsmanager",
    "ses",
    "sns",
    "sqs",
    "ssm",
)
"""The services of all clients that the functions make."""
_UNUSED = {"examples-1.json", "examples-1.json.gz"}


def trim(packages: Path) -> None:
    """Trim the SDK among the packages of a layer: other services, examples, documentation and resources of boto3."""
    data = packages / "botocore" / "data"
    shutil.rmtree(packages / "boto3" / "data")
    for service in data.iterdir():
        if service.is_dir() and service.name not in SERVICES:
            shutil.rmtree(service)
    for file in [*data.rglob("*.json"), *data.rglob("*.json.gz")]:
        if file.name in _UNUSED:
            file.unlink()
        else:
            _rewrite(file)
    _trim_endpoints(data)


def _rewrite(file: Path) -> None:
    """Write a file without documentation and not compressed: a layer is compressed as a whole."""
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    file.unlink()
    _write(file.with_suffix("") if file.suffix == ".gz" else file, _without_documentation(json.loads(text)))


def _without_documentation(value: Any) -> Any:
    """Return JSON without texts named `documentation`; an object of this name is the member of a shape.

    The SDK reads the documentation of the parameters of a client: the first call of S3 fails without that text.
    """
    match value:
        case dict():
            kept = {name: each for name, each in value.items() if name != "documentation" or isinstance(each, dict)}
            whole = {name: each for name, each in kept.items() if name == "clientContextParams"}
            return {name: _without_documentation(each) for name, each in kept.items()} | whole
        case list():
            return [_without_documentation(each) for each in value]
    return value


def _trim_endpoints(data: Path) -> None:
    """Keep the endpoints of the services: they are named by the prefix of the service's host."""
    models = [json.loads(file.read_text()) for file in data.rglob("service-2.json")]
    prefixes = {model["metadata"]["endpointPrefix"] for model in models}
    endpoints = json.loads((data / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: each for name, each in partition["services"].items() if name in prefixes}
    _write(data / "endpoints.json", endpoints)


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, separators=(",", ":")))

"""Where the local cloud keeps its things, and the environment in which its tools run.

The user's AWS profiles, credentials and endpoints are never seen by anything started here.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from infra.config import ROOT

REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class LocalError(Exception):
    """Something a person can put right; it is shown as one line."""


@dataclass(frozen=True)
class Workspace:
    """Directory of one local cloud. `make up` uses `.local/`; a test run its own, which it removes."""

    directory: Path = ROOT / ".local"

    @property
    def stack_file(self) -> Path:
        return self.directory / "stack.json"

    @property
    def issuer_key(self) -> Path:
        return self.directory / "issuer.pem"

    @property
    def process_file(self) -> Path:
        return self.directory / "cloud.json"

    @property
    def cloud_log(self) -> Path:
        return self.directory / "cloud.log"

    @property
    def cloud_files(self) -> Path:
        return self.directory / "cloud"

    @property
    def deploy_log(self) -> Path:
        return self.directory / "deploy.log"

    @property
    def assembly(self) -> Path:
        return self.directory / "cdk.out"


def isolated() -> dict[str, str]:
    """This process's environment less every AWS setting of the user, with the tools of this repository first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    if "AWS_CA_BUNDLE" in os.environ:
        kept["AWS_CA_BUNDLE"] = os.environ["AWS_CA_BUNDLE"]
    return {
        **kept,
        **CREDENTIALS,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": os.pathsep.join([str(Path(sys.prefix) / "bin"), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "layers" / "core" / "python")]),
    }


def isolate() -> None:
    """Makes this very process forget the user's AWS settings, and those it starts with it."""
    settings = isolated()
    for name in set(os.environ) - set(settings):
        del os.environ[name]
    os.environ.update(settings)


def client(service: str, endpoint: str) -> Any:
    """A boto3 client of the local cloud; `isolate` comes first."""
    return boto3.session.Session(region_name=REGION).client(service, endpoint_url=endpoint)  # type: ignore[call-overload]

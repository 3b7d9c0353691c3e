"""The directory of a local cloud, and an environment without the user's AWS settings.

Programs started here never see the AWS profiles, credentials and endpoints of the user.
"""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from infra.config import ROOT

REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class LocalError(Exception):
    """Raised for a problem to be fixed by the user; shown as a single line."""


@dataclass(frozen=True)
class Workspace:
    """The directory of one local cloud: `.local` for `make up`, a temporary directory for a test run.

    The environment variable `TRIMTAB_WORKSPACE` names another directory.
    """

    directory: Path = field(default_factory=lambda: Path(os.environ.get("TRIMTAB_WORKSPACE", ROOT / ".local")))

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
        """The stored state of the local AWS, kept until `make clean`."""
        return self.directory / "cloud"

    @property
    def temporary_files(self) -> Path:
        """The unpacked functions and layers of the running local AWS."""
        return self.directory / "cloud" / "tmp"

    @property
    def deploy_log(self) -> Path:
        return self.directory / "deploy.log"

    @property
    def assembly(self) -> Path:
        return self.directory / "cdk.out"


def isolated() -> dict[str, str]:
    """Return the environment without AWS settings, with the tools of the repository first in PATH."""
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
    """Remove the user's AWS settings from the environment, also for processes started later."""
    settings = isolated()
    for name in set(os.environ) - set(settings):
        del os.environ[name]
    os.environ.update(settings)


def client(service: str, endpoint: str) -> Any:
    """Return a boto3 client of the local cloud. Call `isolate` first."""
    return boto3.session.Session(region_name=REGION).client(service, endpoint_url=endpoint)  # type: ignore[call-overload]

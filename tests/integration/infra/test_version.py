"""The version is written once, in `trimtab/__init__.py`; all public descriptions and the changelog agree with it."""

import json
import re
import tomllib

from functions.platform_api import handler
from infra.config import ROOT
from infra.tools import descriptions, openapi
from tests.support.system import LambdaContext, System, gateway_event
from trimtab import __version__


def test_health_openapi_and_asyncapi_report_the_version_of_the_package(system: System) -> None:
    health = handler.handler(gateway_event("GET", "/health"), LambdaContext())
    assert json.loads(health["body"])["version"] == __version__
    assert openapi.document()["info"]["version"] == __version__
    assert descriptions.asyncapi()["info"]["version"] == __version__


def test_the_project_takes_its_version_from_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "trimtab.__version__"}


def test_the_newest_release_of_the_changelog_is_the_version_of_the_package() -> None:
    releases = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert releases[0] == __version__

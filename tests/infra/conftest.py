"""Each environment is synthesised once for all tests: importing and running the CDK takes seconds."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from infra.app import build
from infra.config import PRODUCTION, ROOT, Config, Provider, host


@dataclass(frozen=True)
class Synthesised:
    """An environment's stacks and what they become."""

    app: cdk.App
    data: cdk.Stack
    service: cdk.Stack
    directory: Path

    @property
    def data_template(self) -> Template:
        return Template.from_stack(self.data)

    @property
    def service_template(self) -> Template:
        return Template.from_stack(self.service)

    def resources(self, kind: str) -> dict[str, Any]:
        """Resources of both stacks by logical id."""
        found: dict[str, Any] = {}
        for template in (self.data_template, self.service_template):
            found.update(template.find_resources(kind))
        return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Parallel runs (`--dist loadgroup`) give these tests to one worker, which so synthesises for all of them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("infra"))


PROVIDER = Provider("arn:aws:iam::123456789012:role/drift-provider", "AROAPROVIDER", ("acme",))
FEED = Provider("arn:aws:iam::123456789012:role/quote-feed", "AROAFEED", ("acme",), quotes=True)
TIPSTER = Provider("arn:aws:iam::123456789012:role/tipster", "AROATIPSTER", ("acme",), insights=True)
# Policies, names and routes do not depend on what the code is built for, and building for this machine is quick.
PRODUCTION_HERE = replace(PRODUCTION, target=host(), providers=(PROVIDER, FEED, TIPSTER))


def synthesise(config: Config, directory: Path) -> Synthesised:
    """Synthesises into a directory, with the feature flags of cdk.json."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(directory), context=context)
    data, service = build(app, config)
    app.synth()
    return Synthesised(app, data, service, directory)


def flat(joined: Any) -> str:
    """A joined text with each reference written as the name of what it gets."""
    if isinstance(joined, str):
        return joined
    return "".join(part if isinstance(part, str) else _name(part) for part in joined["Fn::Join"][1])


def _name(reference: dict[str, Any]) -> str:
    return ".".join(reference["Fn::GetAtt"]) if "Fn::GetAtt" in reference else str(reference["Ref"])


def functions_of(stacks: Synthesised) -> dict[str, Any]:
    """The functions by the name of their package."""
    found = stacks.service_template.find_resources("AWS::Lambda::Function").values()
    return {function["Properties"]["Handler"].split(".")[1]: function for function in found}


def statements_of(stacks: Synthesised, function: dict[str, Any]) -> list[Any]:
    """What the function's role may do."""
    role, _ = function["Properties"]["Role"]["Fn::GetAtt"]
    policies = stacks.service_template.find_resources("AWS::IAM::Policy", {"Properties": {"Roles": [{"Ref": role}]}})
    return [each for it in policies.values() for each in it["Properties"]["PolicyDocument"]["Statement"]]


def strings(value: Any) -> list[str]:
    """A text or a list of them, without what is computed on deploy."""
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str)]


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Config], Synthesised]:
    """Synthesises an environment, once a session."""

    @cache
    def once(env: str) -> Synthesised:
        return synthesise(configs[env], tmp_path_factory.mktemp(env))

    configs: dict[str, Config] = {}

    def of(config: Config) -> Synthesised:
        configs.setdefault(config.env, config)
        return once(config.env)

    return of


@pytest.fixture(scope="session")
def production(synthesised: Callable[[Config], Synthesised]) -> Synthesised:
    """Production with three providers, built for this machine."""
    return synthesised(PRODUCTION_HERE)

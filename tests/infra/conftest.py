"""Synthesised environments. Each environment is synthesised once for all tests: the CDK takes seconds."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from infra.app import build
from infra.config import ROOT, Config
from infra.environments import load
from infra.settings import Alpaca, Provider, host


@dataclass(frozen=True)
class Synthesised:
    """The stacks of an environment, with their templates; `monitoring` is None without alarms."""

    app: cdk.App
    retained: cdk.Stack
    service: cdk.Stack
    monitoring: cdk.Stack | None
    directory: Path

    @cached_property
    def retained_template(self) -> Template:
        """The template of the retained stack."""
        return Template.from_stack(self.retained)

    @cached_property
    def service_template(self) -> Template:
        """The template of the service stack."""
        return Template.from_stack(self.service)

    @cached_property
    def monitoring_template(self) -> Template:
        """The template of the monitoring stack."""
        assert self.monitoring
        return Template.from_stack(self.monitoring)

    def resources(self, kind: str) -> dict[str, Any]:
        """Return the resources of a type in both stacks, by logical id."""
        return {**self.retained_template.find_resources(kind), **self.service_template.find_resources(kind)}

    @cached_property
    def tables(self) -> dict[str, Any]:
        """The properties of each table by the name in the stack outputs (`Portfolios`)."""
        tables = self.retained_template.find_resources("AWS::DynamoDB::Table")
        return {self.names[logical_id]: table["Properties"] for logical_id, table in tables.items()}

    @cached_property
    def names(self) -> dict[str, str]:
        """The name in the stack outputs (`Portfolios`, `RebalanceRequests`) of each table and queue, by logical id."""
        outputs = self.retained_template.find_outputs("*")
        kinds = ("Table", "Queue")
        return {
            output["Value"]["Ref"]: key.removeprefix(kind)
            for key, output in outputs.items()
            for kind in kinds
            if key.startswith(kind)
        }

    def names_in(self, value: Any) -> Iterator[str]:
        """Yield the names of the tables and queues that a value of a template refers to, in any form."""
        for part in re.split(r"[^A-Za-z0-9]+", json.dumps(value)):
            for logical_id, name in self.names.items():
                if logical_id in part:
                    yield name


DRIFT_PROVIDER = Provider("arn:aws:iam::123456789012:role/drift-provider", "AROAPROVIDER", ("acme",))
QUOTE_PROVIDER = Provider("arn:aws:iam::123456789012:role/quote-feed", "AROAFEED", ("acme",), quotes=True)
INSIGHT_PROVIDER = Provider("arn:aws:iam::123456789012:role/tipster", "AROATIPSTER", ("acme",), insights=True)
PROVIDERS = (DRIFT_PROVIDER, QUOTE_PROVIDER, INSIGHT_PROVIDER)
PRODUCTION, DEVELOPMENT, LOCAL, LOCALSTACK = (load(name) for name in ("prod", "dev", "local", "localstack"))
# Policies, names and routes do not depend on the target of the code, and building for this machine is quick.
PRODUCTION_HERE = replace(
    PRODUCTION,
    target=host(),
    providers=PROVIDERS,
    compat=True,
    alert_emails=("ops@example.com",),
    alert_webhook_secret="trimtab/alert-webhook",
)


def synthesise(config: Config, directory: Path) -> Synthesised:
    """Synthesise an environment into a directory, with the feature flags of cdk.json."""
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(directory), context=context)
    retained, service = build(app, config)
    app.synth()
    monitoring = app.node.try_find_child(f"{config.prefix}-monitoring")
    assert monitoring is None or isinstance(monitoring, cdk.Stack)
    return Synthesised(app, retained, service, monitoring, directory)


def flat(joined: Any) -> str:
    """Return a joined text, with each reference replaced by the name of the referenced attribute."""
    if isinstance(joined, str):
        return joined
    return "".join(part if isinstance(part, str) else _reference(part) for part in joined["Fn::Join"][1])


def _reference(part: dict[str, Any]) -> str:
    if "Fn::ImportValue" in part:
        return str(part["Fn::ImportValue"])
    return ".".join(part["Fn::GetAtt"]) if "Fn::GetAtt" in part else str(part["Ref"])


def functions_of(stacks: Synthesised) -> dict[str, Any]:
    """Return the functions by the name of their folder below `functions/`."""
    functions = stacks.service_template.find_resources("AWS::Lambda::Function").values()
    return {function["Properties"]["Handler"].split(".")[1]: function for function in functions}


def variables_of(stacks: Synthesised, package: str) -> dict[str, Any]:
    """Return the environment variables of a function."""
    variables: dict[str, Any] = functions_of(stacks)[package]["Properties"]["Environment"]["Variables"]
    return variables


def statements_of(stacks: Synthesised, function: dict[str, Any]) -> list[Any]:
    """Return the policy statements of the role of a function."""
    role, _ = function["Properties"]["Role"]["Fn::GetAtt"]
    policies = stacks.service_template.find_resources("AWS::IAM::Policy", {"Properties": {"Roles": [{"Ref": role}]}})
    return [
        statement for policy in policies.values() for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]


def listed(value: Any) -> list[Any]:
    """Return a list as given, any other value as a list with a single element."""
    return value if isinstance(value, list) else [value]


def strings(value: Any) -> list[str]:
    """Return the texts of a value, without references."""
    return [text for text in listed(value) if isinstance(text, str)]


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Config], Synthesised]:
    """A function for synthesising an environment, once per session."""
    configs: dict[str, Config] = {}

    @cache
    def once(env: str) -> Synthesised:
        return synthesise(configs[env], tmp_path_factory.mktemp(env))

    def synthesise_once(config: Config) -> Synthesised:
        configs.setdefault(config.env, config)
        return once(config.env)

    return synthesise_once


@pytest.fixture(scope="session")
def production(synthesised: Callable[[Config], Synthesised]) -> Synthesised:
    """Production with three providers, built for the local machine."""
    return synthesised(PRODUCTION_HERE)


@pytest.fixture(scope="session")
def alpaca(synthesised: Callable[[Config], Synthesised]) -> Synthesised:
    """Production with Alpaca as broker."""
    return synthesised(replace(PRODUCTION_HERE, env="alpaca", broker=Alpaca("trimtab/alpaca")))

"""Check the synthesised templates with cfn-lint and checkov: `make lint-templates`.

`infra/toolchain/lint.toml` lists the accepted findings with a reason each. Any other finding fails the command, and so
does an accepted pattern of resources that matches no finding.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from infra.config import ROOT
from infra.settings import STRICT

ACCEPTED = ROOT / "infra" / "toolchain" / "lint.toml"
_SYNTHESISED = ROOT / "cdk.out"
_TOOLS = ROOT / ".local" / "lint" / "bin"
_Text = Annotated[str, Field(min_length=1)]


class Finding(NamedTuple):
    """A finding of a tool: the rule, the logical id of the resource or output, and the words of the tool."""

    rule: str
    resource: str
    text: str


@dataclass(frozen=True, config=STRICT)
class AcceptedFindings:
    """The findings of a rule to accept. `resources` are patterns of logical ids, such as `*Queue*`."""

    rule: _Text
    resources: Annotated[tuple[_Text, ...], Field(min_length=1)]
    reason: _Text


def read_accepted(path: Path = ACCEPTED) -> list[AcceptedFindings]:
    """Return the accepted findings of a file. Raises ValueError for a missing or unknown key."""
    accepted = tomllib.loads(path.read_text())["accepted"]
    return TypeAdapter(list[AcceptedFindings]).validate_python(accepted)


def problems(findings: Sequence[Finding], accepted: Sequence[AcceptedFindings]) -> list[str]:
    """Return a line for each finding that is not accepted, and for each accepted pattern without a finding."""
    patterns = [(each.rule, pattern) for each in accepted for pattern in each.resources]
    matched = {
        (finding, pattern)
        for finding in findings
        for pattern in patterns
        if finding.rule == pattern[0] and fnmatchcase(finding.resource, pattern[1])
    }
    explained, used = {finding for finding, _ in matched}, {pattern for _, pattern in matched}
    return [
        *(f"{each.rule} {each.resource}: {each.text}" for each in findings if each not in explained),
        *(
            f"{rule} {resources}: no finding; remove it from {ACCEPTED.relative_to(ROOT)}"
            for rule, resources in patterns
            if (rule, resources) not in used
        ),
    ]


def cfn_lint_findings(report: Any) -> Iterator[Finding]:
    """Yield the findings of a JSON report of cfn-lint. A template that cannot be read is a finding without resource."""
    for match in report:
        path = match["Location"]["Path"]
        yield Finding(match["Rule"]["Id"], path[1] if len(path) > 1 else "", match["Message"])


def checkov_findings(report: Any) -> Iterator[Finding]:
    """Yield the findings of a JSON report of checkov. Raises ValueError if checkov could not read a template."""
    if report["summary"]["parsing_errors"]:
        raise ValueError("checkov could not read a template; run `cdk synth` again")
    for check in report["results"]["failed_checks"]:
        yield Finding(check["check_id"], check["resource"].partition(".")[2], check["check_name"])


def _templates() -> list[str]:
    """Return the paths of the templates of the last synthesis."""
    artifacts = json.loads((_SYNTHESISED / "manifest.json").read_text())["artifacts"].values()
    stacks = [each for each in artifacts if each["type"] == "aws:cloudformation:stack"]
    return [str(_SYNTHESISED / stack["properties"]["templateFile"]) for stack in stacks]


def _report(tool: str, *arguments: str) -> Any:
    """Return the JSON report of a tool. Findings are no failure of the tool, so the exit status is ignored."""
    ran = subprocess.run([_TOOLS / tool, *arguments], capture_output=True, text=True, check=False)
    try:
        return json.loads(ran.stdout)
    except ValueError:
        raise ValueError(f"{tool} wrote no report:\n{ran.stdout}{ran.stderr}") from None


def main(tell: Callable[[str], Any]) -> None:
    """Check the templates in cdk.out; exit with the problems if there are any."""
    templates = _templates()
    report = _report("checkov", "--framework", "cloudformation", "--skip-download", "-o", "json", "-f", *templates)
    findings = [
        *cfn_lint_findings(_report("cfn-lint", "--format", "json", *templates)),
        *checkov_findings(report),
    ]
    if found := problems(findings, read_accepted()):
        sys.exit("\n".join(found))
    tell(f"{len(templates)} templates, {len(findings)} findings, all of them accepted")


if __name__ == "__main__":
    main(print)

"""Findings in the synthesised templates fail `make lint-templates` unless the list of accepted findings has them."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from infra.tools.template_lint import (
    AcceptedFindings,
    Finding,
    cfn_lint_findings,
    checkov_findings,
    problems,
    read_accepted,
)

OPEN_METHOD = Finding("CKV_AWS_59", "GatewayHealthGET", "Ensure there is no open access")
HEALTH = AcceptedFindings("CKV_AWS_59", ("GatewayHealth*",), "Open to all by design.")


def test_an_accepted_finding_is_no_problem() -> None:
    assert problems([OPEN_METHOD], [HEALTH]) == []


@pytest.mark.parametrize(
    "finding", [OPEN_METHOD._replace(resource="GatewayOrdersGET"), OPEN_METHOD._replace(rule="CKV_AWS_18")]
)
def test_a_finding_of_another_resource_or_rule_is_a_problem(finding: Finding) -> None:
    text = f"{finding.rule} {finding.resource}: Ensure there is no open access"
    assert problems([OPEN_METHOD, finding], [HEALTH]) == [text]


def test_a_pattern_that_matches_no_finding_is_a_problem() -> None:
    accepted = AcceptedFindings("CKV_AWS_59", ("GatewayHealth*", "GatewayDocs*"), "Open to all by design.")

    (problem,) = problems([OPEN_METHOD], [accepted])

    assert problem == "CKV_AWS_59 GatewayDocs*: no finding; remove it from infra/toolchain/lint.toml"


def test_findings_of_cfn_lint_name_the_resource_or_the_output() -> None:
    report = [_match("W3005", "Resources", "Authorizer", "DependsOn", 1), _match("W6001", "Outputs", "ApiUrl")]
    unreadable = _match("E0000")

    assert list(cfn_lint_findings([*report, unreadable])) == [
        Finding("W3005", "Authorizer", "words"),
        Finding("W6001", "ApiUrl", "words"),
        Finding("E0000", "", "words"),
    ]


def test_findings_of_checkov_name_the_resource() -> None:
    check = {"check_id": "CKV_AWS_18", "resource": "AWS::S3::Bucket.MarketBars", "check_name": "words"}

    assert list(checkov_findings(_checked([check]))) == [Finding("CKV_AWS_18", "MarketBars", "words")]


def test_a_template_that_checkov_cannot_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="could not read a template"):
        list(checkov_findings(_checked([], parsing_errors=1)))


@pytest.mark.parametrize("missing", ["rule", "resources", "reason"])
def test_accepted_findings_have_a_rule_resources_and_a_reason(tmp_path: Path, missing: str) -> None:
    lines = {"rule": '"W1"', "resources": '["*"]', "reason": '"Because."'}
    file = tmp_path / "lint.toml"
    empty = lines | {missing: "[]" if missing == "resources" else '""'}
    file.write_text("\n".join(["[[accepted]]", *(f"{key} = {value}" for key, value in empty.items())]))

    with pytest.raises(ValueError, match=missing):
        read_accepted(file)


def test_no_rule_is_accepted_for_every_resource_and_no_pattern_stands_twice() -> None:
    patterns = Counter((each.rule, pattern) for each in read_accepted() for pattern in each.resources)

    assert set(patterns.values()) == {1}
    assert "*" not in {pattern for _, pattern in patterns}


def _match(rule: str, *path: str | int) -> dict[str, Any]:
    return {"Rule": {"Id": rule}, "Location": {"Path": list(path)}, "Message": "words"}


def _checked(failed: list[dict[str, str]], parsing_errors: int = 0) -> dict[str, Any]:
    return {"summary": {"parsing_errors": parsing_errors}, "results": {"failed_checks": failed}}

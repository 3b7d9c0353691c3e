"""Accepted findings of the policy checks, each with a reason, next to the construct with the finding."""

from aws_cdk import Acknowledgment, Aws, Validations
from constructs import IConstruct


def acknowledge(scope: IConstruct, rule: str, reason: str) -> None:
    """Accept the findings of a rule on the construct and all children."""
    Validations.of(scope).acknowledge(Acknowledgment(id=rule, reason=reason))


def in_finding(arn: str) -> str:
    """Return an ARN as a policy finding writes it: unknown partition, region and account as `<AWS::Partition>` …"""
    names = {Aws.PARTITION: "Partition", Aws.REGION: "Region", Aws.ACCOUNT_ID: "AccountId"}
    for token, name in names.items():
        arn = arn.replace(token, f"<AWS::{name}>")
    return arn

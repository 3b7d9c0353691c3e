"""Accepted findings of the policy checks, each with a reason, next to the construct with the finding."""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(scope: IConstruct, rule: str, reason: str) -> None:
    """Accept the findings of a rule on the construct and all children."""
    Validations.of(scope).acknowledge(Acknowledgment(id=rule, reason=reason))

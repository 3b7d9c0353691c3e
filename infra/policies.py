"""Findings of the policy checks that are accepted, each with its reason, next to what they are about."""

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def acknowledge(scope: IConstruct, rule: str, reason: str) -> None:
    """Accepts one rule's finding on this construct and its children."""
    Validations.of(scope).acknowledge(Acknowledgment(id=rule, reason=reason))

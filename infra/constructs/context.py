"""Values shared by all constructs of a stack."""

from dataclasses import dataclass

from aws_cdk import RemovalPolicy
from constructs import Construct

from infra.config import Config


@dataclass(frozen=True)
class StackContext:
    """The config of an environment, and the construct of the retained stack that owns the functions' log groups."""

    config: Config
    function_logs: Construct


def removal_policy(config: Config) -> RemovalPolicy:
    """Return RETAIN in an environment whose data is protected, otherwise DESTROY."""
    return RemovalPolicy.RETAIN if config.stateful_protection else RemovalPolicy.DESTROY

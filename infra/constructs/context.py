"""Values shared by all constructs of a stack."""

from dataclasses import dataclass

from aws_cdk import RemovalPolicy

from infra.config import Config
from infra.constructs.alarms import Alarms


@dataclass(frozen=True)
class StackContext:
    """The config and the alarms of an environment."""

    config: Config
    alarms: Alarms


def removal_policy(config: Config) -> RemovalPolicy:
    """Return RETAIN in an environment whose data is protected, otherwise DESTROY."""
    return RemovalPolicy.RETAIN if config.stateful_protection else RemovalPolicy.DESTROY

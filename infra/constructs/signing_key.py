"""Keys with which functions sign what clients bring back: links and cursors."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.policies import acknowledge


def make_signing_key(scope: Construct, id: str, *, name: str, description: str) -> secretsmanager.Secret:
    """Make a secret with a random key of 64 characters. Whatever was signed with an earlier key becomes invalid."""
    key = secretsmanager.Secret(
        scope,
        id,
        secret_name=name,
        description=description,
        generate_secret_string=secretsmanager.SecretStringGenerator(password_length=64, exclude_punctuation=True),
        removal_policy=RemovalPolicy.DESTROY,
    )
    acknowledge(key, "AwsSolutions-SMG4", "The key protects no stored data and can be replaced at any time.")
    return key

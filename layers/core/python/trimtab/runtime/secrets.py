"""Secrets in Secrets Manager."""

import boto3
from botocore.config import Config

_TIMEOUTS = Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "max_attempts": 3})


def read_secret(secret_id: str) -> str:
    """Return the current text of a secret."""
    secrets = boto3.client("secretsmanager", config=_TIMEOUTS)
    return str(secrets.get_secret_value(SecretId=secret_id)["SecretString"])

"""Secrets in Secrets Manager."""

import boto3

from trimtab.runtime.client_config import client_config


def read_secret(secret_id: str) -> str:
    """Return the current text of a secret."""
    secrets = boto3.client("secretsmanager", config=client_config())
    return str(secrets.get_secret_value(SecretId=secret_id)["SecretString"])

"""Secrets in Secrets Manager."""

from trimtab.runtime.aws_client import aws_client


def read_secret(secret_id: str) -> str:
    """Return the current text of a secret."""
    secrets = aws_client("secretsmanager")
    return str(secrets.get_secret_value(SecretId=secret_id)["SecretString"])

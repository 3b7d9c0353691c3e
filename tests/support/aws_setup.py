"""AWS resources of the in-process system, created directly in moto's backends; API calls are much slower."""

from typing import Any

from moto.backends import get_backend

from infra.tables import TableShape

ACCOUNT, REGION = "123456789012", "us-east-1"  # the account is moto's own


def backend(service: str, region: str = REGION) -> Any:
    """Return moto's backend of a service."""
    kept: Any = get_backend
    return kept(service)[ACCOUNT][region]


def add_table(name: str, shape: TableShape) -> None:
    """Create a table with the keys and indexes of `shape`."""
    asked = shape.create_arguments(name)
    backend("dynamodb").create_table(
        name,
        schema=asked["KeySchema"],
        throughput=None,
        attr=asked["AttributeDefinitions"],
        global_indexes=asked.get("GlobalSecondaryIndexes", []),
        indexes=asked.get("LocalSecondaryIndexes", []),
        streams=asked.get("StreamSpecification"),
        billing_mode=asked["BillingMode"],
        sse_specification=None,
        tags=[],
        deletion_protection_enabled=False,
        warm_throughput=None,
    )


def add_queue(name: str) -> str:
    """Create a queue and return its URL."""
    backend("sqs").create_queue(name, {})
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"


def add_bus(name: str) -> None:
    """Create an event bus."""
    backend("events").create_event_bus(name)


def add_sender(address: str) -> None:
    """Verify an e-mail address with SES, so that mail may be sent from the address."""
    backend("ses").verify_email_identity(address)


def add_topic(name: str) -> None:
    """Create an SNS topic."""
    backend("sns").create_topic(name)


def add_bucket(name: str) -> None:
    """Create a bucket."""
    backend("s3", "aws").create_bucket(name, REGION)


def add_secret(name: str, value: str) -> None:
    """Create a secret with a text value."""
    backend("secretsmanager").create_secret(
        name=name,
        secret_string=value,
        secret_binary=None,
        description="",
        tags=[],
        kms_key_id=None,
        client_request_token=None,
        replica_regions=[],
        force_overwrite=False,
    )

"""What a world needs before anything happens in it, put straight into moto: over the wire it takes longer than most
tests do."""

from typing import Any

from moto.backends import get_backend

from infra.tables import TableShape

ACCOUNT, REGION = "123456789012", "us-east-1"  # the account is moto's own


def backend(service: str, region: str = REGION) -> Any:
    """What moto keeps of a service."""
    kept: Any = get_backend
    return kept(service)[ACCOUNT][region]


def add_table(name: str, shape: TableShape) -> None:
    """A table of this shape."""
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
    """A queue, and its URL."""
    backend("sqs").create_queue(name, {})
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"


def add_bus(name: str) -> None:
    """A bus of events."""
    backend("events").create_event_bus(name)


def add_sender(address: str) -> None:
    """An address that mails may come from."""
    backend("ses").verify_email_identity(address)


def add_bucket(name: str) -> None:
    """A bucket."""
    backend("s3", "aws").create_bucket(name, REGION)


def add_secret(name: str, value: str) -> None:
    """A secret."""
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

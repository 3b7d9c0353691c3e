"""Reading objects from S3."""

from functools import lru_cache
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from trimtab.runtime.aws_client import aws_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_ABSENT = {"NoSuchKey", "404"}


class ObjectTooLarge(Exception):
    """Raised for an object above the size limit of the reader."""


@lru_cache(maxsize=1)
def s3_client() -> "S3Client":
    """Return the client, created on first use."""
    client: S3Client = aws_client("s3", read_timeout=20)
    return client


def read_object(client: "S3Client", bucket: str, key: str, max_bytes: int) -> bytes | None:
    """Return the content of an object, None if the object does not exist.

    Raises `ObjectTooLarge` above `max_bytes` without reading the content.
    """
    try:
        answer = client.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    if answer["ContentLength"] > max_bytes:
        answer["Body"].close()
        raise ObjectTooLarge(f"s3://{bucket}/{key} has {answer['ContentLength']} bytes")
    return answer["Body"].read()

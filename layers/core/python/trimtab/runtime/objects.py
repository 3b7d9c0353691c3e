"""S3 for every reader of objects."""

from functools import lru_cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_TIMEOUTS = Config(connect_timeout=2, read_timeout=20, retries={"mode": "standard", "max_attempts": 3})
_ABSENT = {"NoSuchKey", "404"}


class TooMuch(Exception):
    """The object is larger than its reader takes."""


@lru_cache(maxsize=1)
def s3() -> "S3Client":
    """The client, made on first use."""
    return boto3.client("s3", config=_TIMEOUTS)


def read(client: "S3Client", bucket: str, key: str, max_bytes: int) -> bytes | None:
    """The object, None where there is none; `TooMuch` over the size, of which nothing is read."""
    try:
        answer = client.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    if answer["ContentLength"] > max_bytes:
        answer["Body"].close()
        raise TooMuch(f"s3://{bucket}/{key} has {answer['ContentLength']} bytes")
    return answer["Body"].read()

"""Clients of AWS services, made with botocore: boto3 adds resources and transfers to it, which cost cold starts."""

import os
from functools import lru_cache
from typing import Any

from botocore.config import Config
from botocore.session import Session


def aws_client(
    service: str,
    *,
    endpoint_url: str | None = None,
    connect_timeout: int = 2,
    read_timeout: int = 4,
    attempts: int = 4,
    max_pool_connections: int = 10,
) -> Any:
    """Return a client with time limits in seconds, and with the most attempts of a call, the first included.

    The SDK checks the parameters of a call only with VALIDATE_SDK_CALLS in the environment, as the tests have it. AWS
    checks them in any case, and the check takes a tenth of the CPU time of a batch of decisions.
    """
    config = Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=max_pool_connections,
        parameter_validation="VALIDATE_SDK_CALLS" in os.environ,
    )
    return make_client(service, endpoint_url, config)


def make_client(service: str, endpoint_url: str | None, config: Config) -> Any:
    """Return a client of the session of this process."""
    return _session().create_client(service, endpoint_url=endpoint_url, config=config)


@lru_cache(maxsize=1)
def _session() -> Session:
    return Session()

"""The configuration of AWS clients."""

import os

from botocore.config import Config


def client_config(
    *, connect_timeout: int = 2, read_timeout: int = 4, attempts: int = 4, max_pool_connections: int = 10
) -> Config:
    """Return a configuration with times in seconds and the most attempts of a call, the first included.

    The SDK checks the parameters of a call only with VALIDATE_SDK_CALLS in the environment, as the tests have it. AWS
    checks them in any case, and the check takes a tenth of the CPU time of a batch of decisions.
    """
    return Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=max_pool_connections,
        parameter_validation="VALIDATE_SDK_CALLS" in os.environ,
    )

"""The structured logger of a function."""

from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools import Logger

logger = Logger()


@contextmanager
def log_context(**keys: object) -> Iterator[None]:
    """Add keys to every log line inside the context, without those that are None; afterwards keys are as before."""
    before = dict(logger.get_current_keys())
    logger.append_keys(**{name: value for name, value in keys.items() if value is not None})
    try:
        yield
    finally:
        logger.remove_keys([name for name in logger.get_current_keys() if name not in before])
        logger.append_keys(**before)

"""The structured logger of a function."""

from aws_lambda_powertools import Logger

logger = Logger()

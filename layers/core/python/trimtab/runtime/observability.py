"""The one logger of a function: structured lines on standard output."""

from aws_lambda_powertools import Logger

logger = Logger()

"""The logger of a function, which writes structured lines to standard output."""

from aws_lambda_powertools import Logger

logger = Logger()

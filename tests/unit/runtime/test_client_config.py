"""The configuration of AWS clients: production leaves the validation of parameters to AWS, the tests do not."""

import boto3
import pytest
from botocore.exceptions import ParamValidationError

from trimtab.runtime.client_config import client_config


def test_production_sends_calls_that_the_sdk_has_not_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VALIDATE_SDK_CALLS")

    assert client_config().parameter_validation is False  # type: ignore[attr-defined]


def test_a_wrong_call_fails_in_the_tests() -> None:
    client = boto3.client("sqs", region_name="us-east-1", config=client_config())

    with pytest.raises(ParamValidationError, match="QueueUrl"):
        client.send_message(MessageBody="no queue")  # type: ignore[call-arg]

"""Clients of AWS: production leaves the validation of parameters to AWS, the tests do not; items as plain values."""

from decimal import Decimal
from io import BytesIO

import pytest
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.exceptions import ParamValidationError

from trimtab.runtime.aws_client import aws_client
from trimtab.runtime.dynamodb.client import deserialize, serialize

REGION = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REGION.items():
        monkeypatch.setenv(name, value)


def test_production_sends_calls_that_the_sdk_has_not_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VALIDATE_SDK_CALLS")

    client = aws_client("sqs")
    answer = AWSResponse("", 200, HeadersDict(), BytesIO()), {"MessageId": "1"}  # type: ignore[arg-type]
    client.meta.events.register("before-call.sqs", lambda **_: answer)

    assert client.send_message(MessageBody="no queue") == {"MessageId": "1"}


def test_a_wrong_call_fails_in_the_tests() -> None:
    with pytest.raises(ParamValidationError, match="QueueUrl"):
        aws_client("sqs").send_message(MessageBody="no queue")


def test_values_come_back_from_attribute_values_as_they_were() -> None:
    values = {
        "text": "a",
        "count": -3,
        "flag": False,
        "list": [1, "b", None],
        "map": {"x": {"y": b"z"}},
        "set": {"b", "a"},
    }

    stored = serialize({**values, "left_out": None})

    assert stored["count"] == {"N": "-3"}
    assert stored["flag"] == {"BOOL": False}
    assert stored["set"] == {"SS": ["a", "b"]}
    assert deserialize(stored) == values


@pytest.mark.parametrize("value", [Decimal("1.5"), 1.5, object(), set(), {1}])
def test_a_value_that_no_item_stores_is_an_error(value: object) -> None:
    with pytest.raises(TypeError, match="no attribute value"):
        serialize({"value": value})

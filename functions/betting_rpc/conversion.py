"""Conversion between protobuf messages and the plain members of request models and views."""

import re
from typing import Any, TypeVar

from protobuf import DescEnum, DescField, DescMessage, Message, message_from_json_value, message_to_json_value
from pydantic import BaseModel, ValidationError

from trimtab.betting.schemas.views import Answer
from trimtab.runtime.http.problems import invalid_request

M = TypeVar("M", bound=Message[Any])
T = TypeVar("T", bound=BaseModel)


def read_request(model: type[T], message: Message[Any]) -> T:
    """Return the message as a request model; raises `Invalid` with the fields that do not fit.

    Empty members of the message are left out: protobuf does not tell an empty member from an absent one.
    """
    body: Any = message_to_json_value(message, use_proto_field_name=True)
    try:
        return model.model_validate(_read(message.desc(), body))
    except ValidationError as error:
        raise invalid_request((each["loc"], each["msg"]) for each in error.errors()) from None


def write_response(message: type[M], view: Answer) -> M:
    """Return a view as a message; raises if the view has a member that the message does not have."""
    return message_from_json_value(message, _to_json(message.desc(), view))


def enum_prefix(name: str) -> str:
    """Return the prefix of the values of an enum.

    >>> enum_prefix("OrderStatus")
    'ORDER_STATUS_'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() + "_"


def _read(type: Any, value: Any) -> Any:
    """Return a JSON value of a message with the values of enums without their prefixes."""
    match value:
        case list():
            return [_read(type, each) for each in value]
        case dict() if isinstance(type, DescMessage):
            types = {field.name: _type_of(field) for field in type.fields}
            return {name: _read(types.get(name), each) for name, each in value.items()}
        case str() if isinstance(type, DescEnum):
            return value.removeprefix(enum_prefix(type.name))
    return value


def _to_json(message: DescMessage, view: Answer) -> Answer:
    types = {field.name: _type_of(field) for field in message.fields}
    return {name: _convert(types.get(name), value) for name, value in view.items()}


def _convert(type: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_convert(type, each) for each in value]
    if isinstance(type, DescEnum) and value is not None:
        return enum_prefix(type.name) + str(value).upper()
    return _to_json(type, value) if isinstance(value, dict) and isinstance(type, DescMessage) else value


def _type_of(field: DescField) -> Any:
    """Return the message or enum type of a field or of its list elements; None for text, numbers and booleans."""
    value: Any = field.value
    return next((found for name in ("message", "enum", "element") if (found := getattr(value, name, None))), None)

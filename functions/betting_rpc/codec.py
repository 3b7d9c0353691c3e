"""Protobuf messages as the plain members that schemas read and views are made of, and back."""

import re
from typing import Any, TypeVar

from protobuf import DescEnum, DescField, DescMessage, Message, message_from_json_value, message_to_json_value
from pydantic import BaseModel, ValidationError

from trimtab.runtime.http.problems import invalid_request

Answer = dict[str, Any]
M = TypeVar("M", bound=Message[Any])
T = TypeVar("T", bound=BaseModel)


def read(model: type[T], message: Message[Any]) -> T:
    """The request as the model reads it; `Invalid` names the fields that do not have the form that is asked for.

    What a message leaves empty is not given: protobuf knows no difference.
    """
    body: Any = message_to_json_value(message, use_proto_field_name=True)
    for field in message.desc().fields:
        if isinstance(enum := _type_of(field), DescEnum) and field.name in body:
            body[field.name] = str(body[field.name]).removeprefix(_prefix(enum))
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid_request((each["loc"], each["msg"]) for each in error.errors()) from None


def written(message: type[M], view: Answer) -> M:
    """The message of a view; a member of the view that the message does not have is a mistake and raises."""
    return message_from_json_value(message, _named(message.desc(), view))


def _named(message: DescMessage, view: Answer) -> Answer:
    fields = {field.name: _type_of(field) for field in message.fields}
    return {name: _value(fields.get(name), value) for name, value in view.items()}


def _value(kind: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [_value(kind, each) for each in value]
    if isinstance(kind, DescEnum) and value is not None:
        return _prefix(kind) + str(value).upper()
    return _named(kind, value) if isinstance(value, dict) and isinstance(kind, DescMessage) else value


def _type_of(field: DescField) -> Any:
    """The message or the enum of a field, or of the elements of a list; None for texts, numbers and flags."""
    value: Any = field.value
    return next((found for name in ("message", "enum", "element") if (found := getattr(value, name, None))), None)


def _prefix(enum: DescEnum) -> str:
    """What the names of an enum's values start with: ORDER_STATUS_ for OrderStatus."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"

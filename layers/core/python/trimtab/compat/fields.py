"""Fields of request bodies that the earlier APIs have in common."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict

from trimtab.contracts.fields import Identifier, Model, whole


class CompatBody(Model):
    """A request body of an earlier API. Unknown members are ignored, as the earlier APIs ignored them."""

    model_config = ConfigDict(extra="ignore")


def _id_text(value: Any) -> Any:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return str(whole(value)) if is_number else value


AnyId = Annotated[Identifier, BeforeValidator(_id_text)]
"""An id as a text or as a whole number; the number 1 is the id `1`."""

"""The bodies that the routes of contacts read, the answers that they give, and the events that become mail."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from trimtab.contracts.fields import Model
from trimtab.notifications.domain import ADDRESS_PATTERN, MAX_ADDRESS, MAX_CONTACTS, Contacts, is_address


def _address(text: str) -> str:
    if not is_address(text):
        raise ValueError("Give an e-mail address.")
    return text


Email = Annotated[
    str, Field(max_length=MAX_ADDRESS, json_schema_extra={"pattern": f"^{ADDRESS_PATTERN}$"}), AfterValidator(_address)
]


class ReplaceContacts(Model):
    """The e-mail addresses that are told about the portfolio from now on; none ends it."""

    emails: Annotated[list[Email], Field(max_length=MAX_CONTACTS, examples=[["ada@example.com"]])]


class ContactsView(Model):
    """Who is told about a portfolio."""

    portfolio_id: str
    emails: list[str]


def contacts_view(it: Contacts) -> dict[str, Any]:
    """See `ContactsView`."""
    return {"portfolio_id": it.portfolio_id, "emails": list(it.emails)}

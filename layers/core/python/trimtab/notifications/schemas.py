"""Request and response bodies of contacts."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from trimtab.contracts.fields import Model
from trimtab.notifications.domain.contacts import ADDRESS_PATTERN, MAX_ADDRESS, MAX_CONTACTS, Contacts, is_address


def _address(text: str) -> str:
    if not is_address(text):
        raise ValueError("Give an e-mail address of ASCII characters, such as ada@example.com.")
    return text


Email = Annotated[
    str, Field(max_length=MAX_ADDRESS, json_schema_extra={"pattern": f"^{ADDRESS_PATTERN}$"}), AfterValidator(_address)
]


class ReplaceContacts(Model):
    """All contacts of the portfolio."""

    emails: Annotated[list[Email], Field(max_length=MAX_CONTACTS, examples=[["ada@example.com"]])]
    """The e-mail addresses that receive the alerts and reports of the portfolio; an empty list stops both."""


class ContactsView(Model):
    """The contacts of a portfolio."""

    portfolio_id: str
    emails: list[str]


def contacts_view(contacts: Contacts) -> dict[str, Any]:
    """Return the members of a `ContactsView`."""
    return {"portfolio_id": contacts.portfolio_id, "emails": list(contacts.emails)}

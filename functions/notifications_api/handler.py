"""The routes of contacts: who is told about a portfolio."""

from functools import lru_cache, partial
from typing import Any

from aws_lambda_powertools.event_handler import Response

from trimtab.kernel.clock import utc_now
from trimtab.notifications import schemas
from trimtab.notifications.adapters import DynamoContacts
from trimtab.notifications.service import AddressBook
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.app import Api, lambda_handler
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.parameters import PortfolioId
from trimtab.runtime.http.responses import json_response
from trimtab.runtime.settings import Settings


class NotificationsApiSettings(Settings):
    """What this function is told by its environment."""

    portfolios_table: str
    notifications_table: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> NotificationsApiSettings:
    """The settings, read on first use."""
    return NotificationsApiSettings.load()


@lru_cache(maxsize=1)
def address_book() -> AddressBook:
    """The contacts, wired to DynamoDB."""
    store = DynamoContacts(dynamodb_client(), settings().notifications_table, utc_now)
    return AddressBook(PortfolioStore(dynamodb_client(), settings().portfolios_table), store)


app = Api(auth=lambda: settings().auth)
contacts_route = partial(route, tag="Notifications", answers=schemas.ContactsView)


@app.get("/portfolios/<portfolio_id>/contacts", **contacts_route("Read contacts", "portfolios:read"))
def read_contacts(portfolio_id: PortfolioId) -> Response[Any]:
    """Read who gets the alerts and the monthly reports of the portfolio by e-mail."""
    return json_response(schemas.contacts_view(address_book().read(app.caller, portfolio_id)))


@app.put("/portfolios/<portfolio_id>/contacts", **contacts_route("Replace contacts", "portfolios:write"))
def replace_contacts(portfolio_id: PortfolioId, body: schemas.ReplaceContacts) -> Response[Any]:
    """Name who gets the alerts and the monthly reports of the portfolio by e-mail, instead of those before."""
    return json_response(schemas.contacts_view(address_book().replace(app.caller, portfolio_id, body.emails)))


handler = lambda_handler(app)

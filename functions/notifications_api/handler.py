"""Routes for contacts: the e-mail addresses that receive the alerts and reports of a portfolio."""

from functools import lru_cache, partial
from typing import Any

from aws_lambda_powertools.event_handler import Response

from trimtab.contracts.portfolios import PortfolioSummary
from trimtab.kernel.clock import utc_now
from trimtab.notifications.adapters.mail import ContactStore
from trimtab.notifications.schemas import ContactsView, ReplaceContacts, contacts_view
from trimtab.notifications.service import ContactBook
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.portfolio.summary import summarise
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.http.app import Api, lambda_handler
from trimtab.runtime.http.documentation import route
from trimtab.runtime.http.parameters import PortfolioId
from trimtab.runtime.http.responses import json_response
from trimtab.runtime.settings import Settings


class NotificationsApiSettings(Settings):
    """Settings of the function, from the environment."""

    portfolios_table: str
    notifications_table: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> NotificationsApiSettings:
    """Return the settings, read on first use."""
    return NotificationsApiSettings.load()


@lru_cache(maxsize=1)
def contact_book() -> ContactBook:
    """Return the contact service, wired on first use."""
    portfolios = PortfolioStore(dynamodb_client(), settings().portfolios_table)

    def find_portfolio(tenant_id: str, portfolio_id: str) -> PortfolioSummary | None:
        portfolio = portfolios.portfolio(tenant_id, portfolio_id)
        return summarise(portfolio) if portfolio else None

    return ContactBook(find_portfolio, ContactStore(dynamodb_client(), settings().notifications_table), utc_now)


app = Api(auth=lambda: settings().auth)
contacts_route = partial(route, tag="Notifications", answers=ContactsView)


@app.get("/portfolios/<portfolio_id>/contacts", **contacts_route("Read contacts", "portfolios:read"))
def read_contacts(portfolio_id: PortfolioId) -> Response[Any]:
    """Read the e-mail addresses that receive the alerts and monthly reports of the portfolio."""
    return json_response(contacts_view(contact_book().read(app.caller, portfolio_id)))


@app.put("/portfolios/<portfolio_id>/contacts", **contacts_route("Replace contacts", "portfolios:write"))
def replace_contacts(portfolio_id: PortfolioId, body: ReplaceContacts) -> Response[Any]:
    """Replace all e-mail addresses that receive the alerts and monthly reports of the portfolio."""
    return json_response(contacts_view(contact_book().replace(app.caller, portfolio_id, body.emails)))


handler = lambda_handler(app)

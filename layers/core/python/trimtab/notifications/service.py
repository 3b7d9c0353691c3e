"""Telling people: who wants to know, and each message to each of them."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.caller import Caller
from trimtab.kernel.errors import not_found
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.notifications.domain import Contacts, Message


class Owned(Protocol):
    """A portfolio, as far as it is looked at here."""

    @property
    def user_id(self) -> str: ...


class PortfolioStore(Protocol):
    """Where portfolios are."""

    def portfolio(self, tenant_id: str, portfolio_id: str) -> Owned | None:
        """The portfolio, None if there is none."""


class ContactStore(Protocol):
    """Keeps contacts, and which messages have been sent."""

    def contacts(self, tenant_id: str, portfolio_id: str) -> Contacts:
        """The contacts of a portfolio; without any addresses where none were stored."""

    def put(self, contacts: Contacts) -> None:
        """Stores them on the version before; raises `ConditionFailed` otherwise."""

    def were_sent(self, contacts: Contacts, message_id: str) -> set[str]:
        """The addresses to which this message has gone."""

    def sent(self, contacts: Contacts, message_id: str, email: str) -> None:
        """Notes that it has gone there."""


class MailRefused(Exception):
    """The mail server did not take a message; it says why."""


class NotTaken(Exception):
    """Mails to some of the contacts were refused: they are to be tried again."""


class Mailer(Protocol):
    """Sends e-mail."""

    def send(self, email: str, message: Message) -> None:
        """Hands the message over; raises `MailRefused` where it was not taken."""


class AddressBook(Struct, frozen=True):
    """The contacts of the caller's portfolios."""

    portfolios: PortfolioStore
    store: ContactStore

    def read(self, caller: Caller, portfolio_id: str) -> Contacts:
        """The contacts of a portfolio of the caller's."""
        self._require_owned(caller, portfolio_id)
        return self.store.contacts(caller.tenant_id, portfolio_id)

    def replace(self, caller: Caller, portfolio_id: str, emails: Sequence[str]) -> Contacts:
        """These addresses instead of those before."""

        def attempt() -> Contacts:
            self._require_owned(caller, portfolio_id)
            before = self.store.contacts(caller.tenant_id, portfolio_id)
            wanted = tuple(dict.fromkeys(emails))
            if before.emails == wanted:
                return before
            after = replace(before, emails=wanted, version=before.version + 1)
            self.store.put(after)
            return after

        return retrying_on_conflict(attempt)

    def _require_owned(self, caller: Caller, portfolio_id: str) -> None:
        portfolio = self.portfolios.portfolio(caller.tenant_id, portfolio_id)
        if portfolio is None:
            raise not_found("portfolio")
        caller.require_owner(portfolio.user_id, "portfolio")


class Post(Struct, frozen=True):
    """Messages to the contacts of portfolios."""

    store: ContactStore
    mailer: Mailer

    def deliver(self, tenant_id: str, portfolio_id: str, message_id: str, message: Message) -> int:
        """Sends the message to each contact that has not had it; how many were sent now.

        A contact is noted after the mail server took the message: a crash in between sends it a second time, which is
        better than never. Where the server refused some, the others get theirs, and `NotTaken` is raised; the next try
        goes on with those that are missing.
        """
        contacts = self.store.contacts(tenant_id, portfolio_id)
        if not contacts.emails:
            return 0
        done = self.store.were_sent(contacts, message_id)
        missing = [email for email in contacts.emails if email not in done]
        refusals = []
        for email in missing:
            try:
                self.mailer.send(email, message)
            except MailRefused as refusal:
                refusals.append(str(refusal))
            else:
                self.store.sent(contacts, message_id, email)
        if refusals:
            raise NotTaken(f"{len(refusals)} of {len(missing)} mails were not taken: {refusals[0]}")
        return len(missing)

"""Contacts of portfolios, and delivery of messages to them."""

from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.portfolios import PortfolioSummary
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import not_found
from trimtab.kernel.retry import retry_on_conflict
from trimtab.notifications.adapters.mail import ContactStore, SesMailer
from trimtab.notifications.domain.contacts import Contacts, DeliveryRejected, MailMessage, MailRejected, SentMail

FindPortfolio = Callable[[str, str], PortfolioSummary | None]
"""Returns the portfolio of a tenant id and a portfolio id; None for an unknown portfolio."""


class ContactBook(Struct, frozen=True):
    """Reads and replaces the contacts of the caller's portfolios."""

    find_portfolio: FindPortfolio
    store: ContactStore

    def read(self, caller: Caller, portfolio_id: str) -> Contacts:
        """Return the contacts of a portfolio; raises `NotFound` for an unknown portfolio or another user's."""
        self._require_owner(caller, portfolio_id)
        return self.store.contacts(caller.tenant_id, portfolio_id)

    def replace(self, caller: Caller, portfolio_id: str, emails: Sequence[str]) -> Contacts:
        """Replace all addresses of a portfolio; raises `NotFound` as `read` does."""

        def attempt() -> Contacts:
            self._require_owner(caller, portfolio_id)
            before = self.store.contacts(caller.tenant_id, portfolio_id)
            wanted = tuple(dict.fromkeys(emails))
            if before.emails == wanted:
                return before
            after = replace(before, emails=wanted, version=before.version + 1)
            self.store.put(after)
            return after

        return retry_on_conflict(attempt)

    def _require_owner(self, caller: Caller, portfolio_id: str) -> None:
        portfolio = self.find_portfolio(caller.tenant_id, portfolio_id)
        if portfolio is None:
            raise not_found("portfolio")
        caller.require_owner(portfolio.user_id, "portfolio")


class MailService(Struct, frozen=True):
    """Delivers messages to the contacts of portfolios, at least once."""

    store: ContactStore
    mailer: SesMailer
    clock: Clock

    def has_contacts(self, tenant_id: str, portfolio_id: str) -> bool:
        """Return True if the portfolio has at least one contact."""
        return bool(self.store.contacts(tenant_id, portfolio_id).emails)

    def deliver(self, tenant_id: str, portfolio_id: str, message_id: str, message: MailMessage) -> int:
        """Send a message to each contact that has not received the message yet; return the number of mails sent.

        Each mail is recorded as sent after the mail server has accepted the mail, so a crash in between sends the mail
        twice rather than never. All contacts are tried; if any mail was rejected, `DeliveryRejected` is raised at the
        end, and a repeat sends only the missing mails.
        """
        contacts = self.store.contacts(tenant_id, portfolio_id)
        if not contacts.emails:
            return 0
        done = self.store.sent_addresses(contacts, message_id)
        missing = [email for email in contacts.emails if email not in done]
        rejections = []
        for email in missing:
            try:
                self.mailer.send(email, message)
            except MailRejected as rejection:
                rejections.append(str(rejection))
            else:
                self.store.put_sent(SentMail(tenant_id, portfolio_id, message_id, email, self.clock()))
        if rejections:
            raise DeliveryRejected(f"{len(rejections)} of {len(missing)} mails rejected: {rejections[0]}")
        return len(missing)

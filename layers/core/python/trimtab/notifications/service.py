"""Contacts of portfolios, and delivery of messages to them."""

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct

from trimtab.contracts.portfolios import PortfolioSummary
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import not_found
from trimtab.kernel.retry import retry_on_conflict
from trimtab.notifications.adapters.mail import ContactStore, SesMailer
from trimtab.notifications.domain.contacts import (
    Contacts,
    DeliveryIncomplete,
    DisabledAddress,
    MailFailed,
    MailMessage,
    MailRejected,
    SentMail,
    mail_tags,
)
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger

FindPortfolio = Callable[[str, str], PortfolioSummary | None]
"""Returns the portfolio of a tenant id and a portfolio id; None for an unknown portfolio."""


class ContactBook(Struct, frozen=True):
    """Reads and replaces the contacts of the caller's portfolios."""

    find_portfolio: FindPortfolio
    store: ContactStore
    clock: Clock

    def read(self, caller: Caller, portfolio_id: str) -> Contacts:
        """Return the contacts of a portfolio; raises `NotFound` for an unknown portfolio or another user's."""
        self._require_owner(caller, portfolio_id)
        return self.store.contacts(caller.tenant_id, portfolio_id)

    def replace(self, caller: Caller, portfolio_id: str, emails: Sequence[str]) -> Contacts:
        """Replace all addresses of a portfolio, none of them disabled; raises `NotFound` as `read` does."""

        def attempt() -> Contacts:
            self._require_owner(caller, portfolio_id)
            before = self.store.contacts(caller.tenant_id, portfolio_id)
            after = before.set_emails(emails, self.clock())
            if after is not before:
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
        """Return True if the portfolio has at least one contact that gets mail."""
        return bool(self.store.contacts(tenant_id, portfolio_id).active_emails)

    def deliver(self, tenant_id: str, portfolio_id: str, message_id: str, message: MailMessage) -> int:
        """Send a message to each active contact that has not received the message yet; return the number of mails sent.

        Each mail is recorded after SES has accepted the mail, so a crash in between sends the mail twice rather than
        never. A permanent rejection by SES is recorded, too, with an event. All contacts are tried; if any mail failed,
        `DeliveryIncomplete` is raised at the end, and a repeat sends only the missing mails.
        """
        contacts = self.store.contacts(tenant_id, portfolio_id)
        if not contacts.active_emails:
            return 0
        done = self.store.finished_addresses(contacts, message_id)
        missing = [email for email in contacts.active_emails if email not in done]
        sent, failures = 0, []
        for email in missing:
            rejection = None
            try:
                self.mailer.send(email, message, mail_tags(tenant_id, portfolio_id))
                sent += 1
            except MailFailed as failure:
                failures.append(str(failure))
                continue
            except MailRejected as rejected:
                rejection = str(rejected)
                count("MailsRejected")
                logger.warning("mail rejected", portfolio_id=portfolio_id, reason=rejection)
            self.store.put_sent(SentMail(tenant_id, portfolio_id, message_id, email, self.clock(), rejection))
        if failures:
            raise DeliveryIncomplete(f"{len(failures)} of {len(missing)} mails failed: {failures[0]}")
        return sent


class AddressFeedback(Struct, frozen=True):
    """Disables addresses whose mail servers refused a mail, or whose owners complained."""

    store: ContactStore

    def disable(
        self, tenant_id: str, portfolio_id: str, email: str, address: DisabledAddress, mailed_at: datetime
    ) -> bool:
        """Disable an address of a portfolio; return False if nothing changes, as after a repeated report.

        `mailed_at` is the time of the refused mail.
        """

        def attempt() -> bool:
            before = self.store.contacts(tenant_id, portfolio_id)
            after = before.disable(email, address, mailed_at)
            if after is not before:
                self.store.put(after)
            return after is not before

        return retry_on_conflict(attempt)

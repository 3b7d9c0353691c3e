"""The internal queue `settlements`: requests to settle open orders in markets with results."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.contracts.messages import SettlementRequested
from trimtab.runtime.sqs.sender import send_message, send_messages

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class UserCheck(Struct, frozen=True):
    """A check of the users of a market with results, one page of users for each message.

    The page starts after the user `after`; the users before had `orders` orders. `tries` counts the checks of this
    page so far.
    """

    after: str | None = None
    orders: int = 0
    tries: int = 0


class UserPass(Struct, frozen=True):
    """A pass over the orders of a user that corrects them by the market's results of `number`.

    The orders up to the place `after` are corrected, and were `orders` orders. A pass without a place is at its start.
    """

    number: int = 0
    after: str | None = None
    orders: int = 0


class SettlementQueue(Struct, frozen=True):
    """The sender of the queue `settlements`."""

    client: "SQSClient"
    url: str

    def request_market(self, tenant_id: str, market_id: str, after: str | None = None) -> None:
        """Request the settlement of all open orders of a market with results, from a place in the index on."""
        message = SettlementRequested(tenant_id=tenant_id, market_id=market_id, after=after)
        send_message(self.client, self.url, message)

    def request_users(self, tenant_id: str, market_id: str, user_ids: Sequence[str]) -> None:
        """Request the settlement of the open orders of each user in a market with results."""
        messages = (
            SettlementRequested(tenant_id=tenant_id, market_id=market_id, user_id=user_id) for user_id in user_ids
        )
        send_messages(self.client, self.url, messages)

    def retry_user(self, tenant_id: str, market_id: str, user_id: str, tries: int, delay_seconds: int) -> None:
        """Request the settlement of the orders of a user that are still open after `tries` tries."""
        message = SettlementRequested(tenant_id=tenant_id, market_id=market_id, user_id=user_id, tries=tries)
        send_message(self.client, self.url, message, delay_seconds=delay_seconds)

    def continue_user(self, tenant_id: str, market_id: str, user_id: str, progress: UserPass) -> None:
        """Request the rest of a pass over the orders of a user."""
        message = SettlementRequested(
            tenant_id=tenant_id,
            market_id=market_id,
            user_id=user_id,
            after=progress.after,
            orders=progress.orders,
            number=progress.number,
        )
        send_message(self.client, self.url, message)

    def request_check(self, tenant_id: str, market_id: str, check: UserCheck, delay_seconds: int) -> None:
        """Request a check of the users of a market with results."""
        message = SettlementRequested(
            tenant_id=tenant_id,
            market_id=market_id,
            check=True,
            after=check.after,
            orders=check.orders,
            tries=check.tries,
        )
        send_message(self.client, self.url, message, delay_seconds=delay_seconds)

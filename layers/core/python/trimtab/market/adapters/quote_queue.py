"""Sender of the queue `quotes`."""

from typing import TYPE_CHECKING

from msgspec import Struct

from trimtab.contracts.events import PLATFORM
from trimtab.contracts.messages import QuoteBody, QuoteReceived
from trimtab.contracts.quotes import AcceptedPrice
from trimtab.runtime.sqs.sender import send_message

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient


class QuoteQueue(Struct, frozen=True):
    """Sends prices to the worker that stores quotes and matches price watches."""

    client: "SQSClient"
    url: str

    def submit(self, symbol: str, price: AcceptedPrice) -> None:
        """Send a known price again, to be judged again or to be matched with the price watches."""
        quote = QuoteBody(symbol=symbol, price=price.price, as_of=price.as_of, source=price.source)
        send_message(self.client, self.url, QuoteReceived(quotes=[quote]), group=PLATFORM)

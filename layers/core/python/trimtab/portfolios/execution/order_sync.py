"""Synchronisation of single orders with the broker: look up, send if the broker has none, cancel on request."""

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.clock import to_epoch_milliseconds
from trimtab.portfolios.execution.broker import Broker, BrokerOrder, BrokerReport, OrderNotSent, OutcomeUnknown
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus

MAX_REASON_LENGTH = 100


class OrderSync(Struct, frozen=True):
    """Synchronises the orders of one wave.

    `is_new_wave`: this worker has just started the wave, so the broker cannot have any of the orders yet.
    `may_send`: send orders that the broker never received. `is_stopping`: cancel open orders. `now` is the time of the
    synchronisation. `log_error` receives exceptions that a broker should not raise. `currency` is that of the orders.
    """

    broker: Broker
    account: str
    currency: str
    is_new_wave: bool
    may_send: bool
    is_stopping: bool
    now: datetime
    log_error: Callable[[Exception], None]

    def refresh(self, order: Order) -> Order:
        """Synchronise one order with the broker; resend the order under its own id if the broker never received it.

        An exception of the broker leaves the outcome of the order unknown, and does not affect other orders.
        """
        order_id = order.client_order_id
        try:
            report = None if self.is_new_wave else self.broker.look_up(self.account, order_id)
            if report is None and not self.may_send:
                return order
            order = self._update(order, report) if report else self._send(order)
            if self.is_stopping and order.status is OrderStatus.OPEN:
                self.broker.cancel(self.account, order_id)
                report = self.broker.look_up(self.account, order_id)
                order = self._update(order, report) if report else order
        except Exception as error:  # noqa: BLE001 - one failure must not discard the results of the other orders
            return self._note_error(order, error)
        return order

    def _send(self, order: Order) -> Order:
        """Submit the order and count the attempt. `Execution.started` has counted the first attempt already."""
        tried = order if self.is_new_wave else replace(order, attempts=order.attempts + 1)
        try:
            return self._update(tried, self.broker.submit(self.account, to_broker_order(order, self.currency)))
        except OrderNotSent as error:
            return self._note_error(order, error)
        except Exception as error:  # noqa: BLE001 - the broker may have received the order despite the error
            return self._note_error(tried, error)

    def _update(self, order: Order, report: BrokerReport) -> Order:
        """Return the order as the broker reports it."""
        updated = replace(
            order,
            status=OrderStatus(report.status.value),
            broker_id=report.broker_id or order.broker_id,
            filled=report.filled,
            amount=report.amount,
            fees=report.fees,
            reason=report.reason,
            refusal=report.refusal,
        )
        if not updated.status.is_over:
            return updated
        seen_at = to_epoch_milliseconds(self.now)
        return replace(updated, filled_at=seen_at) if updated.filled else replace(updated, ended_at=seen_at)

    def _note_error(self, order: Order, error: Exception) -> Order:
        if isinstance(error, OutcomeUnknown):
            return replace(order, reason=str(error)[:MAX_REASON_LENGTH] or None)
        self.log_error(error)
        return replace(order, reason=type(error).__name__)  # the text goes to the log only: it may reveal internals


def to_broker_order(order: Order, currency: str) -> BrokerOrder:
    """Return the order in the form of the port `Broker`."""
    return BrokerOrder(order.client_order_id, order.symbol, order.side, order.quantity, order.limit_price, currency)

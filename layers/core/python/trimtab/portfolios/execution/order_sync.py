"""Asking: an order of a wave is brought up to what the broker has of it, and sent where it never arrived."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from trimtab.portfolios.execution.broker import Broker, BrokerOrder, BrokerReport, NotSent, OutcomeUnknown
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus


@dataclass(frozen=True, slots=True)
class Asking:
    """One look at the orders of a wave.

    `is_new`: none of them can be at the broker yet. `is_halted`: nothing is sent. `is_stopping`: what is open is
    cancelled. Whatever a broker raises is an outcome that is unknown, of that order alone: `on_error` is told of what a
    broker should not raise.
    """

    broker: Broker
    account: str
    is_new: bool
    is_halted: bool
    is_stopping: bool
    on_error: Callable[[Exception], None]

    def brought_up(self, order: Order) -> Order:
        """The order as the broker has it now; one that never arrived is sent again under its own id."""
        id = order.client_order_id
        try:
            report = None if self.is_new else self.broker.look_up(self.account, id)
            if report is None and self.is_halted:
                return order
            order = _reported(order, report) if report else self._sent(order)
            if self.is_stopping and order.status is OrderStatus.OPEN:
                self.broker.cancel(self.account, id)
                ended = self.broker.look_up(self.account, id)
                order = _reported(order, ended) if ended else order
        except Exception as error:  # noqa: BLE001 - what the other orders' answers say must not be lost by it
            return self._unanswered(order, error)
        return order

    def _sent(self, order: Order) -> Order:
        """Each time that it may have arrived counts, the first time when the journal said that it would be sent."""
        tried = order if self.is_new else replace(order, attempts=order.attempts + 1)
        try:
            return _reported(tried, self.broker.submit(self.account, as_asked(order)))
        except NotSent as error:
            return self._unanswered(order, error)
        except Exception as error:  # noqa: BLE001 - it may have arrived all the same
            return self._unanswered(tried, error)

    def _unanswered(self, order: Order, error: Exception) -> Order:
        if isinstance(error, OutcomeUnknown):
            return replace(order, reason=str(error)[:100] or None)
        self.on_error(error)
        return replace(order, reason=type(error).__name__)  # its text is for the log: it may tell of our inside


def as_asked(order: Order) -> BrokerOrder:
    """The order as a broker takes it."""
    return BrokerOrder(order.client_order_id, order.symbol, order.side, order.quantity, order.limit_price)


def _reported(order: Order, report: BrokerReport) -> Order:
    return replace(
        order,
        status=OrderStatus(report.status.value),
        broker_id=report.broker_id or order.broker_id,
        filled=report.filled,
        amount=report.amount,
        fees=report.fees,
        reason=report.reason,
    )

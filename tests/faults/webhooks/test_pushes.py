"""A crash or a fault at any call of pushing: the log has every event, and no event is pushed twice."""

import pytest

from functions.webhooks_on_push_requested import handler as push_function
from tests.faults.harness import survive
from tests.support.faults import CrashAfter, CrashBefore, Fault, LostAnswer, Throttle, TimeOut, injecting
from tests.support.moto_state import fast_transactions, take_messages
from tests.support.sockets import management_api, open_connection
from tests.support.system import System, sqs_record
from tests.support.webhooks import an_event, log_events, read_ids
from trimtab.kernel.clock import utc_now
from trimtab.kernel.ids import derive_id
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.webhooks.adapters.connection_store import ConnectionStore
from trimtab.webhooks.domain.connections import new_connection

CALLS = ["Query", "BatchGetItem", "PostToConnection", "PostToConnection", "DeleteConnection", "BatchWriteItem"]
IDS = [derive_id("event", number) for number in range(2)]


@pytest.mark.parametrize("kind", [CrashBefore, CrashAfter, LostAnswer, Throttle, TimeOut])
@pytest.mark.parametrize("call", range(len(CALLS)))
def test_no_event_is_lost_from_the_log_or_pushed_twice(system: System, call: int, kind: type[Fault]) -> None:
    with fast_transactions(), management_api() as api, injecting() as faults:
        with faults.paused():
            open_connection(system, "c1")
            ConnectionStore(dynamodb_client(), "webhooks").create(new_connection("demo", "expired", None, 0, utc_now()))
            log_events(system, an_event(0), an_event(1))
            ((body, _),) = take_messages(system.pushes_url)
        faults.set(kind(call))
        first = survive(lambda: system.invoke_worker(sqs_record(body), worker=push_function))
        assert faults.met
        faults.set()
        again = sqs_record(body, ApproximateReceiveCount="2")
        assert system.invoke_worker(again, worker=push_function) == set()
        assert faults.operations == []
        pushed = api.event_ids("c1")
        assert pushed == IDS[: len(pushed)]
        assert first is not None or kind in {CrashBefore, CrashAfter}
        assert read_ids(system) == IDS

"""The cost of a million rebalances of fifty assets: counted units at list prices (us-east-1, November 2026)."""

import json
import os
from contextlib import redirect_stdout
from pathlib import Path

from infra.tables import PORTFOLIOS
from tests.support.system import in_process_system, sqs_record
from tests.support.write_units import metering

WRITE_UNIT, READ_UNIT = 0.625, 0.125  # DynamoDB on demand, $ a million
REST_CALL, SQS_CALL, LAMBDA_CALL, EVENT = 3.50, 0.40, 0.20, 1.00  # $ a million
GB_SECONDS = 13.3334  # Lambda on ARM, $ a million
BATCH = 10
# Billed time of a warm invocation, generously: the network to DynamoDB and SQS is most of it.
API_SECONDS, API_GB = 0.030, 1.0
WORKER_SECONDS_A_MESSAGE, WORKER_GB = 0.015, 0.5


def per_million(*, accepted: bool) -> float:
    """$ for a million reports that lead to transactions; `accepted` over HTTP, else put straight on the queue."""
    reads = 2  # the decision's two items, each below 4 KB
    dollars = _write_units(accepted=accepted) * WRITE_UNIT + reads * READ_UNIT + EVENT
    dollars += (1 + 2 / BATCH) * SQS_CALL + LAMBDA_CALL / BATCH + WORKER_SECONDS_A_MESSAGE * WORKER_GB * GB_SECONDS
    if accepted:
        dollars += REST_CALL + LAMBDA_CALL + API_SECONDS * API_GB * GB_SECONDS + READ_UNIT
    return dollars


def _write_units(*, accepted: bool) -> int:
    target = {f"SYM{n}": "2" for n in range(50)}
    drifted = {**target, **{f"SYM{n}": "1.87" if n % 2 else "2.13" for n in range(50)}}
    report = {"user_id": "1", "new_allocation": drifted, "request_id": "r"}
    with (
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere),
        in_process_system() as system,
        metering(PORTFOLIOS) as meter,
    ):
        system.portfolio(allocation=target)
        created = meter.total
        if accepted:
            assert system.http("POST", "/rebalance", report).status == 202
            system.drain_queue()
        else:
            message = {"schema_version": 1, "type": "rebalance.requested", "tenant_id": "demo", **report}
            assert system.invoke_worker(sqs_record(json.dumps(message))) == set()
        return meter.total - created

"""The operational state as gauges: depths and ages of queues, dead letters, pending jobs, and portfolios in need."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from trimtab.portfolios.portfolio.attention import attention_entries
from trimtab.portfolios.portfolio.store import PENDING_JOBS, PortfolioStore
from trimtab.runtime.aws_client import aws_client
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.dynamodb.paging import count_up_to
from trimtab.runtime.observability import logger
from trimtab.runtime.openmetrics import Gauge, GaugeValue
from trimtab.runtime.sqs.sender import sqs_client

ATTENTION_PAGE, ATTENTION_PAGES = 100, 3
MAX_JOBS_PER_SHARD = 1_000
_STATES = {
    "visible": "ApproximateNumberOfMessages",
    "in_flight": "ApproximateNumberOfMessagesNotVisible",
    "delayed": "ApproximateNumberOfMessagesDelayed",
}
_AGE_WINDOW = timedelta(minutes=15)


class ScrapedSystem(Struct, frozen=True):
    """The resources to measure. A queue has the URL `queue_url` + its name; `failure_queues` have no worker."""

    table: str
    queue_url: str
    work_queues: Sequence[str]
    failure_queues: Sequence[str]


def read_gauges(system: ScrapedSystem, tenant_id: str, now: datetime) -> list[Gauge]:
    """Return all gauges. A part that cannot be read, or was cut by a bound, is named in `trimtab_scrape_incomplete`."""
    store = PortfolioStore(dynamodb_client(), system.table)
    parts: dict[str, Callable[[], tuple[list[Gauge], bool]]] = {
        "queues": lambda: (_queue_gauges(system), False),
        "ages": lambda: ([_age_gauge(system, now)], False),
        "pending_jobs": lambda: _pending_gauge(store),
        "attention": lambda: _attention_gauges(store, tenant_id, now),
    }
    gauges: list[Gauge] = []
    incomplete = []
    for part, read in parts.items():
        try:
            found, is_cut = read()
        except (ClientError, BotoCoreError):
            logger.exception("a part of the operational state cannot be read", part=part)
            found, is_cut = [], True
        gauges += found
        incomplete.append(GaugeValue(int(is_cut), {"part": part}))
    text = "1 where a part of this response is missing, or is a lower bound because its reads are bounded."
    return [*gauges, Gauge("trimtab_scrape_incomplete", text, tuple(incomplete))]


def _queue_gauges(system: ScrapedSystem) -> list[Gauge]:
    depths = [
        GaugeValue(count, {"queue": name, "state": state})
        for name in system.work_queues
        for state, count in _depths(system.queue_url + name).items()
    ]
    dead = {name: f"{name}-dead" for name in system.work_queues} | {name: name for name in system.failure_queues}
    letters = [
        GaugeValue(sum(_depths(system.queue_url + dead_name).values()), {"queue": name})
        for name, dead_name in dead.items()
    ]
    return [
        Gauge("trimtab_queue_messages", "Messages of a queue by state, approximately.", tuple(depths)),
        Gauge("trimtab_dead_letters", "Messages that failed, by queue: a person has to act.", tuple(letters)),
    ]


def _depths(url: str) -> dict[str, int]:
    answer: Any = sqs_client().get_queue_attributes(QueueUrl=url, AttributeNames=list(_STATES.values()))  # type: ignore[arg-type]
    return {state: int(answer["Attributes"].get(name, 0)) for state, name in _STATES.items()}


def _age_gauge(system: ScrapedSystem, now: datetime) -> Gauge:
    """Return the ages of the oldest messages; SQS reports them to CloudWatch only, and not for an inactive queue."""
    prefix = system.queue_url.rpartition("/")[2]
    queries = [
        {
            "Id": f"q{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SQS",
                    "MetricName": "ApproximateAgeOfOldestMessage",
                    "Dimensions": [{"Name": "QueueName", "Value": prefix + name}],
                },
                "Period": 60,
                "Stat": "Maximum",
            },
        }
        for number, name in enumerate(system.work_queues)
    ]
    answer = _cloudwatch().get_metric_data(MetricDataQueries=queries, StartTime=now - _AGE_WINDOW, EndTime=now)
    newest = {each["Id"]: int(each["Values"][0]) for each in answer["MetricDataResults"] if each["Values"]}
    ages = [
        GaugeValue(newest[f"q{number}"], {"queue": name})
        for number, name in enumerate(system.work_queues)
        if f"q{number}" in newest
    ]
    text = "Age of the oldest message by queue, as SQS reported it last; absent for an inactive queue."
    return Gauge("trimtab_queue_oldest_message_age_seconds", text, tuple(ages), "seconds")


@lru_cache(maxsize=1)
def _cloudwatch() -> Any:
    return aws_client("cloudwatch", connect_timeout=1, read_timeout=2, attempts=3)


def _pending_gauge(store: PortfolioStore) -> tuple[list[Gauge], bool]:
    counts = [
        count_up_to(store.client, store.table, PENDING_JOBS, f"OPEN#{shard}", MAX_JOBS_PER_SHARD)
        for shard in "0123456789abcdef"
    ]
    total = GaugeValue(sum(count for count, _ in counts))
    gauge = Gauge("trimtab_pending_jobs", "Rebalances, recalculations and imports that wait for a worker.", (total,))
    return [gauge], any(is_cut for _, is_cut in counts)


def _attention_gauges(store: PortfolioStore, tenant_id: str, now: datetime) -> tuple[list[Gauge], bool]:
    codes: Counter[str] = Counter(stale=0)
    portfolio_ids, position = set(), None
    for _ in range(ATTENTION_PAGES):
        page = store.portfolios_with_attention(tenant_id, limit=ATTENTION_PAGE, after=position)
        for portfolio, stuck in page.items:
            reasons = {entry.code for entry in attention_entries(portfolio, now, stuck)}
            is_counted = portfolio.portfolio_id in portfolio_ids
            codes.update(reasons & {"stuck"} if is_counted else reasons)
            portfolio_ids |= {portfolio.portfolio_id} if reasons else set()
        position = page.next_position
        if position is None:
            break
    reasons_text = "Portfolios of the token's tenant that need a person, by reason; one portfolio may have several."
    samples = tuple(GaugeValue(count, {"reason": code}) for code, count in sorted(codes.items()))
    return [
        Gauge(
            "trimtab_portfolios_needing_attention", "Portfolios that need a person.", (GaugeValue(len(portfolio_ids)),)
        ),
        Gauge("trimtab_attention_reasons", reasons_text, samples),
    ], position is not None

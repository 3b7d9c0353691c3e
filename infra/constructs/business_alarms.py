"""Business metrics on the dashboard, by graph, and the alarms on them; the functions write them to their logs."""

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.constructs.alarms import DAY, FIVE_MINUTES, HOUR, Alarm, metric

Line = tuple[cloudwatch.Metric, Alarm | None]

WATCH_LAG = Alarm("watch-lag", "watch-lag", 300, "Price checks end 300 s after their cause: drifts are found late.")
HELD_PRICES = Alarm("held-prices", "held-prices", 1, "An implausible price is held: checks that need it wait.")
STALE_PORTFOLIOS = Alarm(
    "stale-portfolios", "stale-portfolios", 1, "A portfolio became STALE and refuses trades and rebalances."
)
ATTENTION = Alarm("attention", "attention", 10, "Ten or more alerts for operators within an hour.")
ROLLBACKS = Alarm("rollbacks", "rollbacks", 3, "Three or more rebalances were rolled back within an hour.")
MISSING_BARS = Alarm("missing-bars", "missing-bars", 1, "The nightly ingestion has no bars of one session or more.")
NO_INGESTION = Alarm(
    "no-ingestion", "missing-bars", 1, "No nightly ingestion has ended for four days.", periods=4, needs_data=True
)
WEBHOOK_FAILURES = Alarm(
    "webhook-failures", "webhook-failures", 50, "Fifty or more deliveries to webhooks failed within an hour."
)
FAILED_PUSHES = Alarm(
    "failed-pushes", "webhook-failures", 50, "Fifty or more pushes to WebSocket connections failed within an hour."
)
BROKER_CIRCUIT = Alarm("broker-circuit", "open-circuits", 1, "The broker does not answer: its circuit breaker opened.")
BARS_CIRCUIT = Alarm(
    "bars-circuit", "open-circuits", 1, "The provider of bars does not answer: its circuit breaker opened."
)

CHECKS, EXECUTIONS = "balancing_on_check_requested", "execution_on_execution_requested"
NIGHT, DELIVERIES = "market_on_night", "webhooks_on_delivery_requested"


def business_graphs(namespace: str) -> Mapping[str, Sequence[Line]]:
    """Return the lines of each graph, in the order of the dashboard; `namespace` is that of the logged metrics."""

    def line(
        package: str, name: str, alarm: Alarm | None = None, *, statistic: str = "Sum", period: Duration = HOUR
    ) -> Line:
        return metric(namespace, name, {"service": package}, statistic=statistic, period=period), alarm

    return {
        "Quotes and held prices": [
            line("market_on_quote_received", "QuotesStored"),
            line("market_on_quote_received", "QuotesHeld", HELD_PRICES),
        ],
        "Watch lag (s)": [line(CHECKS, "WatchLag", WATCH_LAG, statistic="Maximum", period=FIVE_MINUTES)],
        "Checks": [line(CHECKS, "ChecksEvaluated"), line(CHECKS, "RebalancesPlanned")],
        "Rebalances": [
            line(EXECUTIONS, "RebalanceCompleted"),
            line(EXECUTIONS, "RebalanceRolledBack", ROLLBACKS),
            line(EXECUTIONS, "StalePortfolios", STALE_PORTFOLIOS),
        ],
        "Alerts for operators": [line("notifications_on_operator_alert", "OperatorAlerts", ATTENTION)],
        "Daily bars": [line(NIGHT, "BarsStored", period=DAY), line(NIGHT, "DaysFailed", MISSING_BARS)],
        "Nightly ingestions": [line(NIGHT, "DaysFailed", NO_INGESTION, statistic="SampleCount", period=DAY)],
        "Webhooks and pushes": [
            line(DELIVERIES, "WebhookAttempts"),
            line(DELIVERIES, "WebhookFailures", WEBHOOK_FAILURES),
            line("webhooks_on_push_requested", "FailedPushes", FAILED_PUSHES),
        ],
        "Open circuits": [
            line(EXECUTIONS, "CircuitsOpened", BROKER_CIRCUIT),
            line(NIGHT, "CircuitsOpened", BARS_CIRCUIT),
        ],
        "Orders of bettors": [line("betting_api", "OrdersPlaced"), line("betting_api", "OrdersRefused")],
    }

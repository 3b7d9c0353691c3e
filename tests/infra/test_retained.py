"""The retained stack: shapes of tables, queues and buckets, and their protection."""

from typing import Any

import pytest
from aws_cdk.assertions import Match

from infra.constructs.api import STAGE
from infra.settings import Provider
from tests.infra.conftest import DRIFT_PROVIDER, INSIGHT_PROVIDER, QUOTE_PROVIDER, Synthesised, listed
from trimtab.contracts.event_data import AlertType

DAY = 24 * 3600
WORKERS = {
    "rebalance-requests": "rebalancing-on-rebalance-requested",
    "quotes": "market-on-quote-received",
    "checks": "balancing-on-check-requested",
    "rebalance-executions": "execution-on-execution-requested",
    "recalculations": "ledger-on-recalculation-requested",
    "insights": "betting-on-insight-received",
    "settlements": "betting-on-settlement-requested",
    "portfolio-changes": "analytics-on-portfolio-changed",
    "valuations": "analytics-on-valuation-requested",
    "reports": "analytics-on-report-requested",
    "mails": "notifications-on-alert",
    "operator-alerts": "notifications-on-operator-alert",
    "webhook-alerts": "notifications-on-alert-published",
    "webhook-events": "webhooks-on-event",
    "mail-reports": "notifications-on-mail-reported",
    "webhook-deliveries": "webhooks-on-delivery-requested",
    "event-pushes": "webhooks-on-push-requested",
}
STATEFUL = (
    "AWS::ApiGateway::RestApi",
    "AWS::ApiGatewayV2::Api",
    "AWS::Cognito::UserPool",
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
)


def test_the_tables_have_every_index_with_keys_only_and_those_whose_writes_carry_events_stream(
    production: Synthesised,
) -> None:
    tables = production.tables

    assert {name: _indexes(table, "LocalSecondaryIndexes") for name, table in tables.items()} == {
        "Portfolios": {"by_time": ["pk", "by_time"], "by_symbol": ["pk", "by_symbol"]},
        "Watches": {"upper_bound": ["pk", "upper_bound"], "lower_bound": ["pk", "lower_bound"]},
        **{name: {} for name in ("Market", "Paper", "Betting", "Analytics", "Notifications", "Webhooks")},
    }
    assert {name: _indexes(table, "GlobalSecondaryIndexes") for name, table in tables.items()} == {
        "Portfolios": {
            name: [f"{name}_pk", f"{name}_sk"] for name in ("by_user", "by_tenant", "pending_jobs", "calendar_due")
        },
        "Watches": {},
        "Market": {"by_sector": ["by_sector_pk", "by_sector_sk"]},
        "Paper": {},
        "Betting": {
            name: [f"{name}_pk", f"{name}_sk"] for name in ("by_user", "by_market", "by_open_user", "by_open_market")
        },
        "Analytics": {"valued": ["valued_pk", "valued_sk"]},
        "Notifications": {},
        "Webhooks": {},
    }
    assert {name: table.get("StreamSpecification") for name, table in tables.items()} == {
        "Portfolios": {"StreamViewType": "NEW_IMAGE"},
        "Watches": None,
        "Market": {"StreamViewType": "NEW_IMAGE"},
        "Paper": None,
        "Betting": {"StreamViewType": "NEW_IMAGE"},
        "Analytics": {"StreamViewType": "NEW_IMAGE"},
        "Webhooks": {"StreamViewType": "NEW_IMAGE"},
        "Notifications": {"StreamViewType": "NEW_IMAGE"},
    }
    with_expiry = {name for name, table in tables.items() if "TimeToLiveSpecification" in table}
    assert with_expiry == {"Notifications", "Webhooks"}


def test_production_protects_its_tables_from_deletion_and_can_recover_them(production: Synthesised) -> None:
    protected = {
        "Properties": {
            "DeletionProtectionEnabled": True,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        },
    }
    tables = production.retained_template.find_resources("AWS::DynamoDB::Table")

    assert set(production.retained_template.find_resources("AWS::DynamoDB::Table", protected)) == set(tables)


@pytest.mark.parametrize("kind", STATEFUL)
def test_production_keeps_what_holds_data_or_an_address_if_the_stack_is_deleted(
    production: Synthesised, kind: str
) -> None:
    retained = production.retained_template.find_resources(kind)

    assert retained
    for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
        assert {resource[policy] for resource in retained.values()} == {"Retain"}
    assert not production.service_template.find_resources(kind), "a release would replace it"


def test_the_retained_stack_needs_nothing_of_the_service_stack(production: Synthesised) -> None:
    assert production.retained.dependencies == []
    assert production.service.dependencies == [production.retained]
    assert not production.retained_template.find_resources("AWS::Lambda::Function")


def test_the_address_of_the_api_names_the_retained_rest_api(production: Synthesised) -> None:
    (address,) = production.service_template.find_outputs("ApiUrl").values()
    (stage,) = production.service_template.find_resources("AWS::ApiGateway::Stage").values()
    (rest_api,) = production.retained_template.find_resources("AWS::ApiGateway::RestApi")

    assert rest_api in str(address["Value"])
    assert rest_api in str(stage["Properties"]["RestApiId"])
    assert stage["Properties"]["StageName"] == STAGE


@pytest.mark.parametrize("name", WORKERS)
def test_a_message_is_tried_five_times_and_kept_fourteen_days_when_dead(production: Synthesised, name: str) -> None:
    production.retained_template.has_resource_properties(
        "AWS::SQS::Queue",
        {"QueueName": f"trimtab-prod-{name}", "RedrivePolicy": Match.object_like({"maxReceiveCount": 5})},
    )
    production.retained_template.has_resource_properties(
        "AWS::SQS::Queue",
        {"QueueName": f"trimtab-prod-{name}-dead", "MessageRetentionPeriod": 14 * DAY},
    )


@pytest.mark.parametrize(("name", "worker"), WORKERS.items())
def test_a_message_stays_hidden_for_six_timeouts_of_the_worker(production: Synthesised, name: str, worker: str) -> None:
    queues = production.retained_template.find_resources(
        "AWS::SQS::Queue", {"Properties": {"QueueName": f"trimtab-prod-{name}"}}
    )
    workers = production.service_template.find_resources(
        "AWS::Lambda::Function",
        {"Properties": {"FunctionName": f"trimtab-prod-{worker}"}},
    )
    (queue,), (function,) = queues.values(), workers.values()

    assert queue["Properties"]["VisibilityTimeout"] >= 6 * function["Properties"]["Timeout"]


def test_the_bucket_of_bars_is_encrypted_private_versioned_and_refuses_plain_http(production: Synthesised) -> None:
    (bucket,) = production.resources("AWS::S3::Bucket").values()
    (policy,) = production.resources("AWS::S3::BucketPolicy").values()

    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["Properties"]["BucketEncryption"]
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert _denies_plain_http(policy)


def test_every_queue_and_topic_refuses_plain_http(production: Synthesised) -> None:
    policies = production.resources("AWS::SQS::QueuePolicy").values()
    guarded = {
        name
        for policy in policies
        if _denies_plain_http(policy)
        for name in production.names_in(policy["Properties"]["Queues"])
    }

    assert guarded == {production.names[queue] for queue in production.resources("AWS::SQS::Queue")}
    assert all(_denies_plain_http(policy) for policy in production.resources("AWS::SNS::TopicPolicy").values())


def test_a_provider_may_send_to_the_queues_that_the_provider_is_configured_for(production: Synthesised) -> None:
    assert _queues_of(production, DRIFT_PROVIDER) == ["RebalanceRequests"]
    assert _queues_of(production, INSIGHT_PROVIDER) == ["Insights", "RebalanceRequests"]
    assert _queues_of(production, QUOTE_PROVIDER) == ["Quotes", "RebalanceRequests"]


def _queues_of(production: Synthesised, provider: Provider) -> list[str]:
    return sorted(
        name
        for policy in production.resources("AWS::SQS::QueuePolicy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and provider.principal_arn in str(statement["Principal"])
        for name in production.names_in(policy["Properties"]["Queues"])
    )


def test_events_that_an_operator_has_to_see_go_to_the_queue_of_operator_alerts(production: Synthesised) -> None:
    rules = production.retained_template.find_resources("AWS::Events::Rule").values()
    (rule,) = (rule for rule in rules if "an operator has to see" in rule["Properties"]["Description"])
    (target,) = rule["Properties"]["Targets"]

    assert set(rule["Properties"]["EventPattern"]["detail-type"]) == set(AlertType)
    assert list(production.names_in(target["Arn"])) == ["OperatorAlerts"]
    assert target["DeadLetterConfig"]


def test_the_alerts_topic_and_its_key_admit_the_alarms_of_this_account_only(production: Synthesised) -> None:
    (key,) = production.retained_template.find_resources("AWS::KMS::Key").values()
    (policy,) = production.retained_template.find_resources("AWS::SNS::TopicPolicy").values()
    statements = [*key["Properties"]["KeyPolicy"]["Statement"], *policy["Properties"]["PolicyDocument"]["Statement"]]
    services = [each for each in statements if "Service" in each["Principal"] and each["Effect"] == "Allow"]

    senders = ["cloudwatch.amazonaws.com", "costalerts.amazonaws.com"]
    named = [name for each in services for name in listed(each["Principal"]["Service"])]
    assert sorted(named) == sorted(senders * 2)
    condition = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert all(each["Condition"] == condition for each in services)


def test_operators_get_alerts_by_mail_and_the_webhook_by_a_queue(production: Synthesised) -> None:
    found = production.retained_template.find_resources("AWS::SNS::Subscription").values()
    endpoints = {each["Properties"]["Protocol"]: each["Properties"]["Endpoint"] for each in found}

    assert endpoints["email"] == "ops@example.com"
    assert list(production.names_in(endpoints["sqs"])) == ["WebhookAlerts"]


def test_bounces_and_complaints_of_mails_go_to_the_queue_of_mail_reports(production: Synthesised) -> None:
    template = production.retained_template
    (configuration_set,) = template.find_resources("AWS::SES::ConfigurationSet").values()
    (destination,) = template.find_resources("AWS::SES::ConfigurationSetEventDestination").values()
    rules = template.find_resources("AWS::Events::Rule").values()
    (rule,) = (rule for rule in rules if rule["Properties"]["EventPattern"]["source"] == ["aws.ses"])
    (target,) = rule["Properties"]["Targets"]

    assert configuration_set["Properties"]["Name"] == "trimtab-prod"
    assert configuration_set["Properties"]["SuppressionOptions"] == {"SuppressedReasons": []}
    assert destination["Properties"]["EventDestination"]["MatchingEventTypes"] == ["bounce", "complaint"]
    assert "EventBridgeDestination" in destination["Properties"]["EventDestination"]
    assert rule["Properties"]["EventPattern"]["detail"] == {
        "mail": {"tags": {"ses:configuration-set": ["trimtab-prod"]}}
    }
    assert "EventBusName" not in rule["Properties"], "SES reports to the default bus"
    assert list(production.names_in(target["Arn"])) == ["MailReports"]


def _indexes(table: dict[str, Any], kind: str) -> dict[str, list[str]]:
    """Return the keys of each index of a kind, and assert that the indexes hold keys only."""
    indexes = table.get(kind, [])
    assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in indexes)
    return {index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]] for index in indexes}


def _denies_plain_http(policy: dict[str, Any]) -> bool:
    return any(
        statement["Effect"] == "Deny" and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    )

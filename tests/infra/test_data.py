"""What holds data is as the contract says, and protected where it must be."""

import re
from typing import Any

import pytest
from aws_cdk.assertions import Match

from infra.config import Provider
from tests.infra.conftest import FEED, PROVIDER, TIPSTER, Synthesised

DAY = 24 * 3600
QUEUES = {
    "rebalance-requests": "portfolios-on-rebalance-requested",
    "quotes": "market-on-quote-received",
    "checks": "portfolios-on-check-requested",
    "rebalance-executions": "portfolios-on-execution-requested",
    "recalculations": "portfolios-on-recalculation-requested",
    "insights": "betting-on-insight-received",
    "settlements": "betting-on-settlement-requested",
}


def test_the_tables_have_every_index_with_keys_only_and_those_whose_writes_carry_events_stream(
    production: Synthesised,
) -> None:
    tables = production.data_template.find_resources("AWS::DynamoDB::Table")
    by_name = {re.sub(r"[0-9A-F]{8}$", "", name): table["Properties"] for name, table in tables.items()}

    assert {name: _indexes(table, "LocalSecondaryIndexes") for name, table in by_name.items()} == {
        "Portfolios": {"by_time": ["pk", "by_time"], "by_symbol": ["pk", "by_symbol"]},
        "Watches": {"upper_edge": ["pk", "upper_edge"], "lower_edge": ["pk", "lower_edge"]},
        **{name: {} for name in ("Market", "Paper", "Betting", "Analytics", "Notifications")},
    }
    assert {name: _indexes(table, "GlobalSecondaryIndexes") for name, table in by_name.items()} == {
        "Portfolios": {
            name: [f"{name}_pk", f"{name}_sk"] for name in ("by_user", "by_tenant", "open_work", "calendar_due")
        },
        "Watches": {},
        "Market": {"by_sector": ["by_sector_pk", "by_sector_sk"]},
        "Paper": {},
        "Betting": {
            name: [f"{name}_pk", f"{name}_sk"] for name in ("by_user", "by_market", "by_open_user", "by_open_market")
        },
        "Analytics": {"valued": ["valued_pk", "valued_sk"]},
        "Notifications": {},
    }
    assert {name: table.get("StreamSpecification") for name, table in by_name.items()} == {
        "Portfolios": {"StreamViewType": "NEW_IMAGE"},
        "Watches": None,
        "Market": {"StreamViewType": "NEW_IMAGE"},
        "Paper": None,
        "Betting": {"StreamViewType": "NEW_IMAGE"},
        "Analytics": {"StreamViewType": "NEW_IMAGE"},
        "Notifications": None,
    }
    forgetting = {name for name, table in by_name.items() if "TimeToLiveSpecification" in table}
    assert forgetting == {"Notifications"}


def test_production_keeps_its_tables_whatever_happens_to_the_stack(production: Synthesised) -> None:
    kept = {
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "DeletionProtectionEnabled": True,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        },
    }
    tables = production.data_template.find_resources("AWS::DynamoDB::Table")

    assert set(production.data_template.find_resources("AWS::DynamoDB::Table", kept)) == set(tables)


@pytest.mark.parametrize("name", QUEUES)
def test_a_message_is_tried_five_times_and_kept_fourteen_days_when_dead(production: Synthesised, name: str) -> None:
    production.data_template.has_resource_properties(
        "AWS::SQS::Queue",
        {"QueueName": f"trimtab-prod-{name}", "RedrivePolicy": Match.object_like({"maxReceiveCount": 5})},
    )
    production.data_template.has_resource_properties(
        "AWS::SQS::Queue",
        {"QueueName": f"trimtab-prod-{name}-dead", "MessageRetentionPeriod": 14 * DAY},
    )


@pytest.mark.parametrize(("name", "worker"), QUEUES.items())
def test_a_message_stays_hidden_for_six_times_the_workers_timeout(
    production: Synthesised, name: str, worker: str
) -> None:
    queues = production.data_template.find_resources(
        "AWS::SQS::Queue", {"Properties": {"QueueName": f"trimtab-prod-{name}"}}
    )
    workers = production.service_template.find_resources(
        "AWS::Lambda::Function",
        {"Properties": {"FunctionName": f"trimtab-prod-{worker}"}},
    )
    (queue,), (function,) = queues.values(), workers.values()

    assert queue["Properties"]["VisibilityTimeout"] >= 6 * function["Properties"]["Timeout"]


def test_the_bucket_of_bars_is_encrypted_private_kept_and_refuses_plain_http(production: Synthesised) -> None:
    (bucket,) = production.resources("AWS::S3::Bucket").values()
    (policy,) = production.resources("AWS::S3::BucketPolicy").values()

    assert bucket["DeletionPolicy"] == "Retain"
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["Properties"]["BucketEncryption"]
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert _denies_plain_http(policy)


def test_every_queue_and_topic_refuses_plain_http(production: Synthesised) -> None:
    queues = production.resources("AWS::SQS::Queue")
    policies = [*production.resources("AWS::SQS::QueuePolicy").values()]
    guarded = {
        queue["Fn::GetAtt"][0] if "Fn::GetAtt" in queue else queue["Ref"]
        for policy in policies
        if _denies_plain_http(policy)
        for queue in policy["Properties"]["Queues"]
    }

    assert guarded == set(queues)
    assert all(_denies_plain_http(policy) for policy in production.resources("AWS::SNS::TopicPolicy").values())


def test_a_provider_may_send_to_the_queues_that_it_is_configured_for_and_to_no_other(production: Synthesised) -> None:
    assert _may_be_sent_to(production, PROVIDER) == ["RebalanceRequests"]
    assert _may_be_sent_to(production, TIPSTER) == ["Insights", "RebalanceRequests"]
    assert _may_be_sent_to(production, FEED) == ["Quotes", "RebalanceRequests"]


def _may_be_sent_to(production: Synthesised, provider: Provider) -> list[str]:
    queues = [
        policy["Properties"]["Queues"][0]["Fn::GetAtt"][0]
        if "Fn::GetAtt" in policy["Properties"]["Queues"][0]
        else policy["Properties"]["Queues"][0]["Ref"]
        for policy in production.resources("AWS::SQS::QueuePolicy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and provider.principal_arn in str(statement["Principal"])
    ]
    return sorted(re.sub(r"[0-9A-F]{8}$", "", queue) for queue in queues)


def test_events_that_somebody_has_to_see_go_to_the_alerts_topic(production: Synthesised) -> None:
    production.data_template.has_resource_properties(
        "AWS::Events::Rule",
        {
            "EventPattern": {
                "source": ["trimtab"],
                "detail-type": Match.array_with(
                    ["rebalance.stuck", "recalculation.stuck", "portfolio.stale", "alert.raised"]
                ),
            },
            "Targets": [Match.object_like({"DeadLetterConfig": Match.any_value()})],
        },
    )


def test_the_key_of_the_alerts_topic_admits_its_senders(production: Synthesised) -> None:
    (key,) = production.data_template.find_resources("AWS::KMS::Key").values()
    policy = str(key["Properties"]["KeyPolicy"])

    assert "cloudwatch.amazonaws.com" in policy
    assert "events.amazonaws.com" in policy


def _indexes(table: dict[str, Any], kind: str) -> dict[str, list[str]]:
    """The keys of each index of that kind, all of which hold keys only."""
    found = table.get(kind, [])
    assert all(index["Projection"] == {"ProjectionType": "KEYS_ONLY"} for index in found)
    return {index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]] for index in found}


def _all_indexes(table: dict[str, Any]) -> list[str]:
    return [each["IndexName"] for kind in ("Local", "Global") for each in table.get(f"{kind}SecondaryIndexes", [])]


def _denies_plain_http(policy: dict[str, Any]) -> bool:
    return any(
        statement["Effect"] == "Deny" and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    )

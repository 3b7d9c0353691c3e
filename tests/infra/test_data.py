"""What holds data is as the contract says, and protected where it must be."""

from typing import Any

from aws_cdk.assertions import Match

from tests.infra.conftest import PROVIDER, Synthesised

DAY = 24 * 3600


def test_the_portfolios_table_has_every_index_with_keys_only(production: Synthesised) -> None:
    (table,) = production.data_template.find_resources("AWS::DynamoDB::Table").values()
    properties = table["Properties"]

    def indexes(kind: str) -> dict[str, Any]:
        return {each["IndexName"]: each for each in properties[kind]}

    def keys(index: dict[str, Any]) -> list[str]:
        return [key["AttributeName"] for key in index["KeySchema"]]

    locals_, globals_ = indexes("LocalSecondaryIndexes"), indexes("GlobalSecondaryIndexes")
    assert {name: keys(index) for name, index in locals_.items()} == {
        "by_time": ["pk", "by_time"],
        "by_symbol": ["pk", "by_symbol"],
    }
    assert {name: keys(index) for name, index in globals_.items()} == {
        name: [f"{name}_pk", f"{name}_sk"] for name in ("by_user", "by_tenant", "open_work", "calendar_due")
    }
    assert {each["Projection"]["ProjectionType"] for each in [*locals_.values(), *globals_.values()]} == {"KEYS_ONLY"}
    assert properties["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


def test_production_keeps_its_table_whatever_happens_to_the_stack(production: Synthesised) -> None:
    production.data_template.has_resource(
        "AWS::DynamoDB::Table",
        {
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "DeletionProtectionEnabled": True,
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            },
        },
    )


def test_a_message_is_tried_five_times_and_kept_fourteen_days_when_dead(production: Synthesised) -> None:
    production.data_template.has_resource_properties(
        "AWS::SQS::Queue",
        {"QueueName": "trimtab-prod-rebalance-requests", "RedrivePolicy": Match.object_like({"maxReceiveCount": 5})},
    )
    production.data_template.has_resource_properties(
        "AWS::SQS::Queue",
        {"QueueName": "trimtab-prod-rebalance-requests-dead", "MessageRetentionPeriod": 14 * DAY},
    )


def test_a_message_stays_hidden_for_six_times_the_workers_timeout(production: Synthesised) -> None:
    queues = production.data_template.find_resources(
        "AWS::SQS::Queue", {"Properties": {"QueueName": "trimtab-prod-rebalance-requests"}}
    )
    workers = production.service_template.find_resources(
        "AWS::Lambda::Function",
        {"Properties": {"FunctionName": "trimtab-prod-portfolios-on-rebalance-requested"}},
    )
    (queue,), (worker,) = queues.values(), workers.values()

    assert queue["Properties"]["VisibilityTimeout"] >= 6 * worker["Properties"]["Timeout"]


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


def test_a_provider_may_send_to_the_public_queue_and_to_no_other(production: Synthesised) -> None:
    allowed = [
        policy["Properties"]["Queues"]
        for policy in production.resources("AWS::SQS::QueuePolicy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and PROVIDER.principal_arn in str(statement["Principal"])
    ]

    assert len(allowed) == 1
    assert "RebalanceRequests" in str(allowed[0])


def test_events_that_somebody_has_to_see_go_to_the_alerts_topic(production: Synthesised) -> None:
    production.data_template.has_resource_properties(
        "AWS::Events::Rule",
        {
            "EventPattern": {"source": ["trimtab"], "detail-type": Match.array_with(["rebalance.stuck"])},
            "Targets": [Match.object_like({"DeadLetterConfig": Match.any_value()})],
        },
    )


def test_the_key_of_the_alerts_topic_admits_its_senders(production: Synthesised) -> None:
    (key,) = production.data_template.find_resources("AWS::KMS::Key").values()
    policy = str(key["Properties"]["KeyPolicy"])

    assert "cloudwatch.amazonaws.com" in policy
    assert "events.amazonaws.com" in policy


def _denies_plain_http(policy: dict[str, Any]) -> bool:
    return any(
        statement["Effect"] == "Deny" and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    )

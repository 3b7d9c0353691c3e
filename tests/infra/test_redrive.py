"""The role that redrives dead letters: its grants, and who is admitted because of it."""

from tests.infra.conftest import Synthesised, listed


def grants(production: Synthesised) -> dict[str, set[str]]:
    """Return the names of the queues that the role may use, by action."""
    ((role, _),) = [
        (name, each)
        for name, each in production.retained_template.find_resources("AWS::IAM::Role").items()
        if name.startswith("Redrive")
    ]
    policies = production.retained_template.find_resources(
        "AWS::IAM::Policy", {"Properties": {"Roles": [{"Ref": role}]}}
    )
    found: dict[str, set[str]] = {}
    for policy in policies.values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            for action in listed(statement["Action"]):
                found.setdefault(action, set()).update(production.names_in(statement["Resource"]))
    return found


def test_the_role_reads_and_deletes_dead_letters_and_sends_to_queues_with_a_worker(production: Synthesised) -> None:
    names = {name for name in production.names.values() if name not in production.tables}
    dead = {name for name in names if name.endswith("Dead")}
    work = {name.removesuffix("Dead") for name in dead}

    granted = grants(production)

    assert granted["sqs:SendMessage"] == work
    reads = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"}
    assert {action: granted[action] for action in reads} == dict.fromkeys(reads, names - work)
    assert set(granted) == {"sqs:SendMessage", *reads}


def test_only_principals_of_the_account_assume_the_role_and_the_stack_names_it(production: Synthesised) -> None:
    roles = production.retained_template.find_resources("AWS::IAM::Role")
    (role,) = [each["Properties"] for name, each in roles.items() if name.startswith("Redrive")]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Principal"]["AWS"]["Fn::Join"][1][-1] == ":root"
    assert production.retained_template.find_outputs("RedriveRoleArn")

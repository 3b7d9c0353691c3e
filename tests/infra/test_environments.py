"""Environment files: validated with errors that name file and key, and expressed in the templates."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from infra.app import require_account
from infra.config import Config
from infra.constructs.function import log_retention
from infra.environments import DIRECTORY, ConfigError, load, names
from infra.settings import Alpaca, CognitoPool, FileBars, Paper, RetentionDays, host, lambda_arm64
from infra.tables import BY_NAME
from tests.infra.conftest import Synthesised, flat, functions_of, statements_of, strings, variables_of

GRADUAL = {
    *("analytics-api", "balancing-api", "betting-api", "betting-rpc", "market-api", "notifications-api"),
    *("platform-api", "portfolios-api", "webhooks-api"),
    *("rebalancing-on-rebalance-requested", "execution-on-execution-requested"),
    *("market-on-quote-received", "balancing-on-check-requested"),
}
NAMES = ("Name", "QueueName", "TopicName", "BucketName", "TableName", "UserPoolName")
ACCOUNT = "123456789012"
CERTIFICATE = f"arn:aws:acm:eu-central-1:{ACCOUNT}:certificate/5f0b"
WEB_ACL = f"arn:aws:wafv2:eu-central-1:{ACCOUNT}:regional/webacl/trimtab/1"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/77"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
STREAM = f"arn:aws:dynamodb:eu-central-1:{ACCOUNT}:table/portfolios-restored/stream/2026-11-26T00:00:00.000"
STAGING = f"""
account = "{ACCOUNT}"
region = "eu-central-1"
generation = 2
log_retention_days = 30
web_acl_arn = "{WEB_ACL}"
kms_key_arn = "{KEY}"
permissions_boundary_arn = "{BOUNDARY}"
allowed_origins = ["https://app.example.com"]

[tags]
cost-centre = "4711"

[reserved_concurrency]
portfolios_api = 50
authorizer = 20

[identity]
kind = "oidc"
issuer = "https://login.example.com"
audience = "trimtab"
jwks_url = "https://login.example.com/keys"
tenant_claim = "tenant"

[broker]
kind = "alpaca"
secret_name = "trimtab/alpaca"

[bars]
kind = "files"
prefix = "bars"

[canary]
percent = 20

[tenant_throttles.acme]
rate = 20
burst = 40

[domain]
name = "api.example.com"
certificate_arn = "{CERTIFICATE}"

[tables.portfolios]
name = "portfolios-restored"
stream_arn = "{STREAM}"

[tables.watches]
name = "watches-restored"

[[providers]]
principal_arn = "arn:aws:iam::{ACCOUNT}:role/feed"
sender_id = "AROAFEED"
tenants = ["acme"]
quotes = true
"""


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Config]:
    """A function for loading a file with the given text, as the environment `staging`."""

    def loaded(text: str) -> Config:
        (tmp_path / "staging.toml").write_text(text)
        return load("staging", directory=tmp_path)

    return loaded


@pytest.fixture(scope="session")
def staging(synthesised: Callable[[Config], Synthesised], tmp_path_factory: pytest.TempPathFactory) -> Synthesised:
    """An environment added by a file, built for the local machine."""
    directory = tmp_path_factory.mktemp("environments")
    (directory / "staging.toml").write_text(STAGING)
    return synthesised(replace(load("staging", directory=directory), target=host()))


def test_every_environment_of_the_repository_is_valid() -> None:
    assert names() == ["dev", "local", "localstack", "prod"]
    assert {name: load(name).prefix for name in names()} == {name: f"trimtab-{name}" for name in names()}
    assert (load("prod").target, load("prod").identity, load("prod").broker) == (
        lambda_arm64(),
        CognitoPool(),
        Paper(),
    )


def test_a_file_states_tables_and_lists(file: Callable[[str], Config]) -> None:
    config = file(STAGING)

    assert (config.env, config.account, config.tags) == ("staging", ACCOUNT, {"cost-centre": "4711"})
    assert config.broker == Alpaca("trimtab/alpaca")
    assert config.bars == FileBars("bars")
    assert [(each.sender_id, each.tenants, each.quotes) for each in config.providers] == [("AROAFEED", ("acme",), True)]


def test_a_file_takes_the_keys_of_the_file_that_it_extends(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("throttle_rate = 7\nthrottle_burst = 8\n")
    (tmp_path / "other.toml").write_text('extends = "base"\nthrottle_burst = 9\n')

    config = load("other", directory=tmp_path)

    assert (config.throttle_rate, config.throttle_burst) == (7, 9)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("log_retention_dayz = 30", "log_retention_dayz: unknown key; did you mean `log_retention_days`?"),
        ("[broker]\nkind = 'paper'\nsecret = 'x'", "broker.secret: unknown key; see docs/reference/configuration.md"),
        ("[broker]\nkind = 'alpaca'", "broker.secret_name: Field required; add the key"),
        ("throttle_rate = '50'", "throttle_rate: Input should be a valid integer, not '50'; write a whole number"),
        ("account = 123456789012", "account: Input should be a valid string, not 123456789012; write a text in quotes"),
        ("websocket = 1", "websocket: Input should be a valid boolean, not 1; write true or false"),
        ("log_retention_days = 45", "log_retention_days: Input should be 1, 7, 14,"),
        ("allowed_origins = 'https://a.example.com'", "allowed_origins: Input should be a valid array"),
        ("[[providers]]\nprincipal_arn = 'a'\nsender_id = 'b'\ntenants = [5]", "providers[0].tenants[0]: Input should"),
        ("[bars]\nkind = 'ftp'", "bars: Input tag 'ftp' found using 'kind' does not match"),
        ("[identity]\nissuer = 'https://login.example.com'", "identity: Unable to extract tag"),
        ("[identity]\nkind = 'oidc'\nissuer = 'x'\naudience = 'y'", "identity: an OidcIssuer needs exactly one of"),
        ("[controls]\nprice_collar = '-1'", "controls.price_collar: String should match pattern"),
        ("run_seconds = 86401", "run_seconds: Input should be less than or equal to 86400, not 86401"),
        ("target = 'windows'", "target: unknown bundle target 'windows'; choose one of host, container, lambda"),
        ("env = 'prod'", "env: the name of the file is the name of the environment; remove the key"),
        ("extends = 'nobody'", "extends: no environment 'nobody'"),
        ("generation = 0", "generation: Input should be greater than or equal to 1, not 0"),
        ("permissions_boundary_arn = 'boundary'", "permissions_boundary_arn: String should match"),
        ("[domain]\nname = 'https://a.b'\ncertificate_arn = 'x'", "domain.name: String should match"),
        (f"region = 'us-east-1'\n[domain]\nname = 'a.b'\ncertificate_arn = '{CERTIFICATE}'", "the file: domain.certif"),
        ("[tables.positions]\nname = 'restored'", "tables: no table 'positions'; write one of analytics, betting,"),
        ("[tables.market]\nname = 'restored'", "tables: the table 'market' needs a stream; add `stream_arn`"),
        ("[reserved_concurrency]\nportfolio = 5", "reserved_concurrency: no function 'portfolio'; write the name of"),
        ("[canary]\npercent = 100", "canary.percent: Input should be less than or equal to 99, not 100"),
        ("[tenant_throttles.acme]\nrate = 5", "tenant_throttles.acme.burst: Field required; add the key"),
        ("[tags", "not a TOML file: "),
    ],
)
def test_an_error_names_the_file_the_key_and_the_remedy(
    file: Callable[[str], Config], tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        file(text)

    assert str(raised.value).startswith(f"{tmp_path / 'staging.toml'}: {problem}")


def test_every_wrong_key_of_a_file_is_named_at_once(file: Callable[[str], Config]) -> None:
    with pytest.raises(ConfigError) as raised:
        file("account = 'x'\nregion = 'y'\nlog_level = 'LOUD'")

    assert [line.split(": ")[1] for line in str(raised.value).splitlines()] == ["account", "region", "log_level"]


def test_an_unknown_environment_is_answered_with_the_file_to_add() -> None:
    with pytest.raises(ConfigError, match=r"choose one of dev, local, localstack, prod, or add .*/staging\.toml"):
        load("staging")


def test_credentials_of_another_account_are_refused() -> None:
    config = replace(load("prod"), account=ACCOUNT)

    require_account(config, ACCOUNT)
    require_account(config, None)  # a synthesis without credentials
    require_account(load("prod"), "999999999999")  # the file names no account
    with pytest.raises(
        ConfigError, match=r"belong to account 999999999999, but .*prod\.toml names account 123456789012"
    ):
        require_account(config, "999999999999")


def test_the_stacks_name_the_account_and_the_region_of_the_file(staging: Synthesised) -> None:
    places = {stack.environment for stack in (staging.retained, staging.service)}

    assert places == {f"aws://{ACCOUNT}/eu-central-1"}


def test_every_function_table_and_queue_carries_the_tags_of_the_file(staging: Synthesised) -> None:
    expected = {"application": "trimtab", "environment": "staging", "cost-centre": "4711"}
    resources = {
        name: resource
        for kind in ("AWS::Lambda::Function", "AWS::DynamoDB::Table", "AWS::SQS::Queue")
        for name, resource in staging.resources(kind).items()
    }

    assert resources
    assert [name for name, resource in resources.items() if not expected.items() <= _tags(resource).items()] == []


def test_every_log_group_keeps_its_entries_as_long_as_the_file_says(staging: Synthesised) -> None:
    groups = staging.resources("AWS::Logs::LogGroup").values()

    assert {group["Properties"]["RetentionInDays"] for group in groups} == {30}


@pytest.mark.parametrize("days", get_args(RetentionDays))
def test_every_retention_of_logs_is_one_that_cloudwatch_offers(days: Any) -> None:
    assert log_retention(replace(load("prod"), log_retention_days=days)).name


def test_the_directory_holds_environment_files_only() -> None:
    assert {path.suffix for path in DIRECTORY.iterdir() if path.is_file()} == {".py", ".toml"}


def test_the_domain_has_its_certificate_and_leads_to_the_stage(staging: Synthesised) -> None:
    staging.retained_template.has_resource_properties(
        "AWS::ApiGateway::DomainName",
        {"DomainName": "api.example.com", "RegionalCertificateArn": CERTIFICATE, "SecurityPolicy": "TLS_1_2"},
    )
    staging.service_template.has_resource_properties(
        "AWS::ApiGateway::BasePathMapping", {"DomainName": "api.example.com", "Stage": "v1"}
    )
    assert "DomainTarget" in staging.retained_template.find_outputs("*")
    assert variables_of(staging, "analytics_on_report_requested")["PUBLIC_URL"] == "https://api.example.com"


def test_the_web_acl_stands_before_the_stage(staging: Synthesised) -> None:
    (attached,) = staging.resources("AWS::WAFv2::WebACLAssociation").values()

    assert attached["Properties"]["WebACLArn"] == WEB_ACL
    assert "/stages/" in flat(attached["Properties"]["ResourceArn"])


def test_only_the_functions_that_the_file_names_have_reserved_concurrency(staging: Synthesised) -> None:
    reserved = {
        name: function["Properties"]["ReservedConcurrentExecutions"]
        for name, function in functions_of(staging).items()
        if "ReservedConcurrentExecutions" in function["Properties"]
    }
    assert reserved == {"portfolios_api": 50, "authorizer": 20}


def test_every_role_is_bounded(staging: Synthesised) -> None:
    roles = staging.resources("AWS::IAM::Role").values()

    assert {role["Properties"]["PermissionsBoundary"] for role in roles} == {BOUNDARY}


def test_tables_and_buckets_are_encrypted_with_the_key_that_their_functions_may_use(staging: Synthesised) -> None:
    tables = staging.resources("AWS::DynamoDB::Table").values()
    (bucket,) = staging.resources("AWS::S3::Bucket").values()

    assert {table["Properties"]["SSESpecification"]["KMSMasterKeyId"] for table in tables} == {KEY}
    assert KEY in str(bucket["Properties"]["BucketEncryption"])
    for package, function in functions_of(staging).items():
        statements = statements_of(staging, function)
        actions = {action for each in statements for action in strings(each["Action"])}
        reads_data = any(action.startswith(("dynamodb:", "s3:")) for action in actions)
        assert reads_data == any(KEY in strings(each["Resource"]) for each in statements), package


def test_an_existing_table_is_used_by_its_name_and_its_stream(staging: Synthesised) -> None:
    outputs = staging.retained_template.find_outputs("*")
    tables, sources = staging.resources("AWS::DynamoDB::Table"), staging.resources("AWS::Lambda::EventSourceMapping")
    grants = json.dumps(statements_of(staging, functions_of(staging)["portfolios_api"]))

    assert len(tables) == len(BY_NAME) - 2
    assert outputs["TablePortfolios"]["Value"] == "portfolios-restored"
    assert outputs["TableWatches"]["Value"] == "watches-restored"
    assert variables_of(staging, "portfolios_api")["PORTFOLIOS_TABLE"] == "portfolios-restored"
    assert STREAM in {str(source["Properties"]["EventSourceArn"]) for source in sources.values()}
    assert "table/portfolios-restored" in grants
    assert "/index/by_user" in grants


def test_releases_of_the_functions_behind_the_api_and_of_the_main_workers_are_gradual(staging: Synthesised) -> None:
    aliases = staging.resources("AWS::Lambda::Alias").values()
    groups = staging.resources("AWS::CodeDeploy::DeploymentGroup").values()
    named = {group["Properties"]["DeploymentGroupName"]: group["Properties"] for group in groups}
    updates = [alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"] for alias in aliases]
    (shift,) = staging.resources("AWS::CodeDeploy::DeploymentConfig").values()

    assert {update["ApplicationName"] for update in updates} == {"trimtab-staging-2"}
    assert {update["DeploymentGroupName"] for update in updates} == set(named)
    assert {name.removeprefix("trimtab-staging-2-") for name in named} == GRADUAL
    assert {each["AutoRollbackConfiguration"]["Enabled"] for each in named.values()} == {True}
    assert shift["Properties"]["TrafficRoutingConfig"]["TimeBasedCanary"] == {
        "CanaryInterval": 5,
        "CanaryPercentage": 20,
    }


def test_an_error_of_the_alias_rolls_its_release_back(staging: Synthesised) -> None:
    alarms = staging.retained_template.find_resources("AWS::CloudWatch::Alarm")
    watched = {
        name: {each["Name"]: each["Value"] for each in alarm["Properties"]["Dimensions"]}
        for name, alarm in alarms.items()
    }
    for group in staging.resources("AWS::CodeDeploy::DeploymentGroup").values():
        name = group["Properties"]["DeploymentGroupName"]
        (alarm,) = group["Properties"]["AlarmConfiguration"]["Alarms"]
        assert watched[alarm["Name"]["Ref"]] == {"FunctionName": name, "Resource": f"{name}:live"}


def test_routes_and_queues_of_gradual_functions_call_the_alias(staging: Synthesised) -> None:
    aliases = set(staging.resources("AWS::Lambda::Alias"))
    integrations = [
        json.dumps(method["Properties"]["Integration"]["Uri"])
        for method in staging.resources("AWS::ApiGateway::Method").values()
    ]
    sources = [
        json.dumps(source["Properties"]["FunctionName"])
        for source in staging.resources("AWS::Lambda::EventSourceMapping").values()
    ]

    assert all(any(f'"{alias}"' in uri for alias in aliases) for uri in integrations)
    workers = [name for name in GRADUAL if not name.endswith(("-api", "-rpc"))]
    assert sum(any(f'"{alias}"' in source for alias in aliases) for source in sources) == len(workers)


def test_a_gradual_environment_stays_below_the_500_resources_that_cloudformation_allows(staging: Synthesised) -> None:
    for template in (staging.retained_template, staging.service_template):
        assert len(template.to_json()["Resources"]) <= 500


def test_a_tenant_is_throttled_by_its_plan_whose_key_the_authorizer_answers(staging: Synthesised) -> None:
    keys = json.loads(variables_of(staging, "authorizer")["USAGE_KEYS"])
    plans = staging.resources("AWS::ApiGateway::UsagePlan")
    values = {name: key["Properties"]["Value"] for name, key in staging.resources("AWS::ApiGateway::ApiKey").items()}
    limits = {
        values[each["Properties"]["KeyId"]["Ref"]]: plans[each["Properties"]["UsagePlanId"]["Ref"]]["Properties"]
        for each in staging.resources("AWS::ApiGateway::UsagePlanKey").values()
    }
    (address,) = staging.resources("AWS::ApiGateway::RestApi").values()

    assert limits[keys["acme"]]["Throttle"] == {"RateLimit": 20, "BurstLimit": 40}
    assert "Throttle" not in limits[keys[""]], "the other tenants share the throttle of the stage"
    assert address["Properties"]["ApiKeySourceType"] == "AUTHORIZER"


def test_the_routes_with_an_authorizer_and_no_others_count_for_a_plan(staging: Synthesised) -> None:
    methods = [method["Properties"] for method in staging.resources("AWS::ApiGateway::Method").values()]

    assert {method.get("ApiKeyRequired", False) for method in methods if "AuthorizerId" in method} == {True}
    assert {method.get("ApiKeyRequired", False) for method in methods if "AuthorizerId" not in method} == {False}


def test_without_these_keys_production_has_none_of_these_resources(production: Synthesised) -> None:
    of_gateway = ("ApiGateway::DomainName", "ApiGateway::BasePathMapping", "ApiGateway::UsagePlan")
    kinds = ("Lambda::Alias", "WAFv2::WebACLAssociation", *of_gateway)
    roles, tables = (production.resources(kind).values() for kind in ("AWS::IAM::Role", "AWS::DynamoDB::Table"))

    assert [kind for kind in kinds if production.resources(f"AWS::{kind}")] == []
    assert not [role for role in roles if "PermissionsBoundary" in role["Properties"]]
    assert not [table for table in tables if "SSESpecification" in table["Properties"]]


def test_the_generation_is_part_of_every_fixed_name_so_that_retained_resources_do_not_collide(
    staging: Synthesised,
) -> None:
    resources = [
        resource["Properties"]
        for template in (staging.retained_template, staging.service_template)
        for resource in template.to_json()["Resources"].values()
        if resource.get("DeletionPolicy") == "Retain"
    ]
    names = [resource[key] for resource in resources for key in NAMES if isinstance(resource.get(key), str)]

    assert [name for name in names if not name.startswith("trimtab-staging-2")] == []
    assert sum(name.startswith("trimtab-staging-2-") for name in names) > len(BY_NAME), "each queue has a fixed name"
    assert staging.retained.stack_name == "trimtab-staging-2-retained"


def _tags(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource["Properties"].get("Tags", [])}

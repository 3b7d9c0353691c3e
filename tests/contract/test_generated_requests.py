"""No request that schemathesis generates from the OpenAPI document gets a response that the document does not describe.

The check `positive_data_acceptance` is replaced, because it would permit no 400 at all. Here a request that the
document calls valid gets 400 only by a rule that JSON Schema cannot express, such as weights with a sum of 100.
"""

import json
from collections.abc import Iterator
from http import HTTPStatus

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from infra.config import ROOT
from tests.contract.accepted import unexplained
from tests.contract.wsgi import TOKEN, application
from tests.support.assurance import tried
from tests.support.system import in_process_system

GENERATED = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)


def _requests() -> schemathesis.BaseSchema:
    """Return the source of generated requests."""
    document = json.loads((ROOT / "functions/platform_api/generated/openapi.json").read_text())
    schema = schemathesis.openapi.from_dict(document)
    schema.app = application
    schema.config.checks.positive_data_acceptance.enabled = False
    return schema


few, many = _requests(), _requests()
few.config.phases.update(phases=["fuzzing"])


@pytest.fixture(scope="module", autouse=True)
def running_system() -> Iterator[None]:
    with in_process_system():
        yield


@few.parametrize()
@settings(GENERATED, max_examples=2)
def test_a_few_requests_of_every_operation_get_responses_that_the_document_describes(case: schemathesis.Case) -> None:
    check(case)


@pytest.mark.assurance("API: generated requests of every operation")
@pytest.mark.proof
@many.parametrize()
@settings(GENERATED, max_examples=60)
def test_many_requests_of_every_operation_get_responses_that_the_document_describes(case: schemathesis.Case) -> None:
    tried()
    check(case)


def check(case: schemathesis.Case) -> None:
    """Send a generated request and check the response."""
    response = case.call_and_validate(headers={"Authorization": f"Bearer {TOKEN}"})
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    if is_valid and response.status_code == HTTPStatus.BAD_REQUEST:
        assert unexplained(case.body, response.json()) == [], case.as_curl_command()

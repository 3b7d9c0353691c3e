"""The authorizer of the API: a valid token reaches every route; the functions check scopes and ownership."""

from functools import lru_cache
from typing import Any

from pydantic import Field, Json

from trimtab.kernel.errors import Unauthenticated
from trimtab.runtime import auth, authorizer_context
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings


class AuthorizerSettings(Settings):
    """The settings of the authorizer."""

    auth: str
    usage_keys: Json[dict[str, str]] = Field(default_factory=dict)
    """The API keys of usage plans by tenant; that of the empty name is for all other tenants."""


@lru_cache(maxsize=1)
def settings() -> AuthorizerSettings:
    """Return the settings, read on first use."""
    return AuthorizerSettings.load()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return a policy for the whole stage, so that a cached response serves every route.

    The policy denies a refused token, and API Gateway then responds with 401 as the stage configures. A refusal that
    ends by itself, such as that of a token that is not valid yet, must not be cached: the exception is a 401, too.
    """
    try:
        caller, expires_at = auth.verifier(settings().auth).verify(event.get("authorizationToken"))
    except Unauthenticated as refusal:
        logger.info("refused", reason=refusal.type)
        if refusal.retry_after_seconds is not None:
            # API Gateway responds with 401 to this message and with 500 to any other.
            raise Exception("Unauthorized") from None
        return _answer("Deny", event["methodArn"], "refused", {})
    logger.info("admitted", tenant_id=caller.tenant_id)
    principal = caller.subject or caller.tenant_id
    answer = _answer("Allow", event["methodArn"], principal, authorizer_context.to_context(caller, expires_at))
    keys = settings().usage_keys
    key = keys.get(caller.tenant_id) or keys.get("")
    return {**answer, "usageIdentifierKey": key} if key else answer


def _answer(effect: str, method_arn: str, principal: str, context: dict[str, str]) -> dict[str, Any]:
    arn, stage = method_arn.split("/")[:2]
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": f"{arn}/{stage}/*"}
    return {
        "principalId": principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": context,
    }

"""The gateway's authorizer: who holds a valid token may reach every route; what it may do there, the function says."""

from functools import lru_cache
from typing import Any

from trimtab.kernel.errors import Unauthenticated
from trimtab.runtime import auth, authorizer_context
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings


class AuthorizerSettings(Settings):
    """What this function is told by its environment."""

    auth: str


@lru_cache(maxsize=1)
def settings() -> AuthorizerSettings:
    """The settings, read on first use."""
    return AuthorizerSettings.load()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A policy for the whole stage, so that one cached answer serves every route; raises `Unauthorized` for a 401."""
    try:
        caller, expires_at = auth.verifier(settings().auth).verify(event.get("authorizationToken"))
    except Unauthenticated as refusal:
        logger.info("refused", reason=refusal.type)
        # API Gateway answers 401 to this message, and 500 to any other.
        raise Exception("Unauthorized") from None
    logger.info("admitted", tenant_id=caller.tenant_id)
    arn, stage = event["methodArn"].split("/")[:2]
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{arn}/{stage}/*"}
    return {
        "principalId": caller.subject or caller.tenant_id,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": authorizer_context.to_context(caller, expires_at),
    }

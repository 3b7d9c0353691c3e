"""The authorizer of the API: a valid token reaches every route; the functions check scopes and ownership."""

from functools import lru_cache
from typing import Any

from trimtab.kernel.errors import Unauthenticated
from trimtab.runtime import auth, authorizer_context
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings


class AuthorizerSettings(Settings):
    """The settings of the authorizer."""

    auth: str


@lru_cache(maxsize=1)
def settings() -> AuthorizerSettings:
    """Return the settings, read on first use."""
    return AuthorizerSettings.load()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return a policy for the whole stage, so that a cached response serves every route.

    Raises an exception with the message `Unauthorized` for a 401.
    """
    try:
        caller, expires_at = auth.verifier(settings().auth).verify(event.get("authorizationToken"))
    except Unauthenticated as refusal:
        logger.info("refused", reason=refusal.type)
        # API Gateway responds with 401 to this message and with 500 to any other.
        raise Exception("Unauthorized") from None
    logger.info("admitted", tenant_id=caller.tenant_id)
    arn, stage = event["methodArn"].split("/")[:2]
    statement = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{arn}/{stage}/*"}
    return {
        "principalId": caller.subject or caller.tenant_id,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": authorizer_context.to_context(caller, expires_at),
    }

"""WebSocket connections: connects, messages and disconnects of clients, as API Gateway passes them."""

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError

from trimtab.kernel import strict_json
from trimtab.kernel.clock import utc_now
from trimtab.kernel.errors import Conflict, Forbidden, Invalid, Refusal, Unauthenticated, Unavailable
from trimtab.runtime import auth
from trimtab.runtime.dynamodb.client import dynamodb_client
from trimtab.runtime.metrics import count, metrics
from trimtab.runtime.observability import logger
from trimtab.runtime.settings import Settings
from trimtab.webhooks.adapters.connection_store import ConnectionStore
from trimtab.webhooks.adapters.sockets import ConnectionGone, PushFailed, Sockets, sockets_client
from trimtab.webhooks.domain.connections import Subscription
from trimtab.webhooks.schemas.connections import Subscribe, error, subscribed
from trimtab.webhooks.service.connections import Connections

STATUSES: Mapping[type[Refusal], HTTPStatus] = {
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    Conflict: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The status of the handshake by the refusal of a connect."""

USAGE = 'Send {"action": "subscribe"}, with `portfolio_id` or `user_id` if wanted.'


class ConnectionSettings(Settings):
    """Settings of the function, from the environment."""

    webhooks_table: str
    socket_endpoint: str
    auth: str


@lru_cache(maxsize=1)
def settings() -> ConnectionSettings:
    """Return the settings, read on first use."""
    return ConnectionSettings.load()


@lru_cache(maxsize=1)
def connections() -> Connections:
    """Return the service of connections, wired on first use."""
    return Connections(ConnectionStore(dynamodb_client(), settings().webhooks_table), utc_now)


def connect(event: Mapping[str, Any], connection_id: str) -> HTTPStatus:
    """Verify the token and store the connection; return the status of the handshake."""
    try:
        caller, expires_at = auth.verifier(settings().auth).verify(_authorization(event))
        connections().connect(caller, connection_id, expires_at)
    except Refusal as refusal:
        logger.info("refused", reason=refusal.type)
        return STATUSES[type(refusal)]
    logger.info("connected", tenant_id=caller.tenant_id)
    return HTTPStatus.OK


def receive(body: str, connection_id: str) -> HTTPStatus:
    """Handle a message of a client, and send the message that answers."""
    try:
        message = Subscribe.model_validate(strict_json.loads(body))
        subscription = Subscription(message.portfolio_id, message.user_id)
        connections().subscribe(connection_id, subscription)
        answer = subscribed(subscription)
    except ValidationError as invalid:
        fields = sorted({str(each["loc"][0]) for each in invalid.errors(include_input=False) if each["loc"]})
        answer = error(f"The message is not valid ({', '.join(fields) or 'not an object'}). {USAGE}")
    except Invalid as refusal:
        answer = error(f"{refusal.detail} {USAGE}")
    except Refusal as refusal:
        answer = error(refusal.detail)
    try:
        Sockets(sockets_client(settings().socket_endpoint)).post(connection_id, answer)
    except (ConnectionGone, PushFailed) as failure:
        logger.info("answer not sent", reason=str(failure))
    return HTTPStatus.OK


def _authorization(event: Mapping[str, Any]) -> str | None:
    """Return the Authorization header; browsers cannot set headers and send the parameter `access_token`."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    token = (event.get("queryStringParameters") or {}).get("access_token")
    return headers.get("authorization") or (f"Bearer {token}" if token else None)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _: Any) -> dict[str, int]:
    """Handle one event of a connection."""
    context = event["requestContext"]
    connection_id = context["connectionId"]
    logger.append_keys(connection_id=connection_id)
    match context["eventType"]:
        case "CONNECT":
            status = connect(event, connection_id)
            count("Connects" if status is HTTPStatus.OK else "RefusedConnects")
        case "DISCONNECT":
            connections().disconnect(connection_id)
            status = HTTPStatus.OK
        case _:
            status = receive(event.get("body") or "", connection_id)
    return {"statusCode": int(status)}

"""Payload formats of API Gateway: format 2.0 of HTTP APIs in terms of format 1.0, which REST APIs send, too."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

Event = dict[str, Any]
Answer = dict[str, Any]


def answer_any_format(event: Event, answer: Callable[[Event], Answer]) -> Answer:
    """Return the response to an event in the format of the event; `answer` takes and returns format 1.0."""
    if event.get("version") != "2.0":
        return answer(event)
    return to_format_2(answer(to_format_1(event)))


def to_format_1(event: Event) -> Event:
    """Return an event of format 2.0 in format 1.0.

    The resource is the path of the route: a `$default` route has no resource. The context of a Lambda authorizer is
    kept; without one the function verifies the token itself.

    >>> http = {"http": {"method": "GET"}}
    >>> event = {"routeKey": "GET /a/{b}", "rawPath": "/a/1", "rawQueryString": "c=1&c=2", "requestContext": http}
    >>> read = to_format_1(event)
    >>> read["resource"], read["httpMethod"], read["multiValueQueryStringParameters"]
    ('/a/{b}', 'GET', {'c': ['1', '2']})
    """
    context, headers = event["requestContext"], event.get("headers") or {}
    query = parse_qs(event.get("rawQueryString") or "", keep_blank_values=True)
    return {
        "version": "1.0",
        "resource": event["routeKey"].rpartition(" ")[2],
        "path": event["rawPath"],
        "httpMethod": context["http"]["method"],
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": event.get("pathParameters"),
        "requestContext": {**context, "authorizer": (context.get("authorizer") or {}).get("lambda")},
        "body": event.get("body"),
        "isBase64Encoded": bool(event.get("isBase64Encoded")),
    }


def to_format_2(answer: Answer) -> Answer:
    """Return a response of format 1.0 in format 2.0, which has one value for each header.

    >>> to_format_2({"statusCode": 200, "body": "", "multiValueHeaders": {"Vary": ["Accept", "Origin"]}})
    {'statusCode': 200, 'headers': {'Vary': 'Accept, Origin'}, 'body': '', 'isBase64Encoded': False}
    """
    many = {name: ", ".join(values) for name, values in answer.get("multiValueHeaders", {}).items()}
    return {
        "statusCode": answer["statusCode"],
        "headers": {**answer.get("headers", {}), **many},
        "body": answer["body"],
        "isBase64Encoded": bool(answer.get("isBase64Encoded")),
    }

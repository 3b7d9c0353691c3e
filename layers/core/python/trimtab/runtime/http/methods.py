"""Methods of resources: OPTIONS, HEAD, and the refusal of methods that a resource does not have."""

from collections.abc import Callable, Mapping, Set
from typing import Any

from trimtab.kernel.errors import MethodNotAllowed
from trimtab.runtime.http.cors import options_answer, with_cors
from trimtab.runtime.http.headers import with_safe_headers
from trimtab.runtime.http.problems import problem

Answer = dict[str, Any]


def with_head_and_options(methods: Set[str]) -> Set[str]:
    """Return the methods of a resource, with HEAD where there is GET, and OPTIONS.

    >>> sorted(with_head_and_options({"GET"}))
    ['GET', 'HEAD', 'OPTIONS']
    """
    return methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())


def answer_method(event: Mapping[str, Any], methods: Set[str], serve: Callable[[], Answer]) -> Answer:
    """Return the response to a request for a resource that has these methods; `serve` answers the permitted requests.

    OPTIONS and methods that the resource does not have are answered here, without a token: a preflight request has
    none. A response to HEAD has the status and the headers of GET and no body. Without `methods` the resource is
    unknown, which `serve` has to answer.
    """
    method = str(event.get("httpMethod")).upper()
    if methods and method == "OPTIONS":
        answer = options_answer(event, methods)
    elif methods and method not in methods:
        refusal = MethodNotAllowed("method_not_allowed", "The resource does not have this method; see `Allow`.")
        answer = problem(refusal, {"Allow": ", ".join(sorted(methods))})
    else:
        answer = serve()
    answer = with_cors(event, with_safe_headers(answer))
    return {**answer, "body": "", "isBase64Encoded": False} if method == "HEAD" else answer

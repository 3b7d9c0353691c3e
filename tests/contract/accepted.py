"""Refusals of requests that the OpenAPI document calls valid: only rules that JSON Schema cannot express."""

import re
from collections.abc import Mapping
from typing import Any

RULES_OVER_MEMBERS = (
    r"The weights sum to .*; the sum must be exactly 100\.",
    r"Only a hybrid band has points\.",
    r"Give the day of the week: 1 is Monday, 7 is Sunday\.",
    r"The `month` of a .* rule must be at most \d+\.",
    r"cash needs the cash_tracking `on` or `margin`\. .*",
    r"A (deposit|withdrawal) has no symbol; .*",
    r"Only a bond may have the quote_unit `percent`\.",
    r"Send (side|quantity|amount)\.",
    r"Send at least one of .*",
    r"Give user_id, market_id or both\.",
    r"Give either won or result\.",
    r"Give winners, results or both; .*",
    r"An override_reason needs a payout\.",
    r"`from` must not be after `to`\.",
    r"The Idempotency-Key header and `request_id` differ; .*",
    r"A preset names columns and decimal mark\. .*",
)
"""Rules over several members, or over the header and the body."""

RULES_OF_TEXTS = (
    r"The cursor belongs to another list\. .*",
    r"The file is not of this preset: .*",
    r"The first line must name each column once, .*",
    r"Send one `map` for each member, .*",
    r"Line \d+ is not valid CSV: .*",
    r"Use (a URL without|a URL with a|the port 443|the host name).*",
    r"Use no control characters, line breaks or unassigned characters\.",
    r"Give an e-mail address of ASCII characters, .*",
)
"""Rules inside a text: signatures, files, hosts of URLs, and lengths of parts of a text."""

DECIMALS = (
    r"Use at most \d decimals; input is not rounded\.",
    r"Give a number above 0 and below 1, or a fraction such as 1/3\.",
    r"Use plain digits: at most 12 before the decimal point and 9 after the point\.",
)
"""Decimals of a JSON number: `multipleOf` is not exact for binary fractions."""

BOUND = r"Input should be (greater|less) than .*"
"""A bound of a number: JSON Schema compares numbers only, and a client may send a number as text."""


def unexplained(body: Any, problem: Mapping[str, Any]) -> list[str]:
    """Return the errors of a 400 that the OpenAPI document should have told the client of."""
    errors = problem.get("errors") or [{"field": "", "detail": problem["detail"]}]
    return [f"{each['field']}: {each['detail']}" for each in errors if not _is_explained(body, each)]


def _is_explained(body: Any, error: Mapping[str, str]) -> bool:
    if re.fullmatch(BOUND, error["detail"]):
        return not isinstance(_member(body, error["field"]), int | float)
    rules = (*RULES_OVER_MEMBERS, *RULES_OF_TEXTS, *DECIMALS)
    return any(re.fullmatch(rule, error["detail"]) for rule in rules)


def _member(node: Any, path: str) -> Any:
    """Return the member at a path such as `bands.0.value`; names may have dots. None for a member that is missing."""
    if not path:
        return node
    if isinstance(node, list):
        head, _, rest = path.partition(".")
        return _member(node[int(head)], rest) if head.isdecimal() and int(head) < len(node) else None
    names = node if isinstance(node, dict) else ()
    return next(
        (
            _member(node[name], path[len(name) :].removeprefix("."))
            for name in names
            if path == name or path.startswith(f"{name}.")
        ),
        None,
    )

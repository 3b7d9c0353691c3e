"""Content negotiation by the `Accept` header."""

import pytest

from trimtab.runtime.http.content_negotiation import prefers

SVG, JSON = "image/svg+xml", "application/json"


@pytest.mark.parametrize(
    ("accept", "is_picture"),
    [
        ("", False),
        ("*/*", False),
        (SVG, True),
        ("IMAGE/SVG+XML", True),
        ("image/*", True),
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", True),
        ("text/html,image/svg+xml;q=0.5,*/*;q=0.9", True),
        ("application/json", False),
        ("application/json, image/svg+xml", False),
        ("image/svg+xml, application/json", True),
        ("application/json;q=0.5, image/svg+xml;q=0.9", True),
        ("image/svg+xml;q=0.5, application/*", False),
        ("image/svg+xml;q=0, */*", False),
        ("image/svg+xml;q=0, image/*", False),
        ("image/svg+xml;q=much", False),
        ("text/html", False),
        (",;,=;q", False),
    ],
)
def test_the_form_with_the_highest_quality_is_the_answer(accept: str, is_picture: bool) -> None:
    assert prefers(accept, SVG, JSON) is is_picture

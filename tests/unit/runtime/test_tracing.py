"""Traces: parsing by W3C Trace Context, derived ids, and the next hop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.contracts.traces import parse_traceparent, unpack_trace
from trimtab.runtime.observability import log_context, logger
from trimtab.runtime.tracing import (
    continue_trace,
    current_trace_id,
    next_traceparent,
    parallel_map,
    traceparent_of_item,
    with_trace,
)

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
STORED = "S_kvNXezTaajzpKdDg5HNgDwZ6oLqQK3"
MALFORMED = [
    None,
    "",
    PARENT.upper(),
    PARENT + "-00",
    PARENT + "\n",
    f"ff-{TRACE_ID}-{SPAN_ID}-01",
    f"00-{'0' * 32}-{SPAN_ID}-01",
    f"00-{TRACE_ID}-{'0' * 16}-01",
    f"00-{TRACE_ID}-{SPAN_ID}",
    f"00-{TRACE_ID}-{SPAN_ID}-1",
    f"00-{TRACE_ID}-{SPAN_ID}-01, {PARENT}",
    PARENT.replace("4", "\N{FULLWIDTH DIGIT FOUR}"),
    "x" * 100_000,
    ["a", "list"],
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_traceparent_starts_a_new_trace(text: object) -> None:
    assert parse_traceparent(text) is None
    with continue_trace(text, "request-1") as trace:
        assert trace.trace_id != TRACE_ID
        assert parse_traceparent(next_traceparent()) == trace


def test_a_later_version_is_continued_as_version_0() -> None:
    with continue_trace(f"cc-{TRACE_ID}-{SPAN_ID}-09-what-comes-later", "m1"):
        assert str(next_traceparent()).startswith(f"00-{TRACE_ID}-")
        assert str(next_traceparent()).endswith("-01")


def test_a_hop_keeps_the_trace_and_the_sampling_and_has_a_span_of_its_own() -> None:
    spans = [SPAN_ID]
    traceparent: str | None = f"00-{TRACE_ID}-{SPAN_ID}-00"
    for hop in range(5):
        with continue_trace(traceparent, f"message-{hop}") as trace:
            assert (trace.trace_id, trace.is_sampled, current_trace_id()) == (TRACE_ID, False, TRACE_ID)
            spans.append(trace.span_id)
            traceparent = next_traceparent()
    assert len(set(spans)) == 6
    assert (current_trace_id(), next_traceparent()) == ("", None)


def test_a_redelivered_message_has_the_span_of_its_first_delivery() -> None:
    with continue_trace(PARENT, "m1") as first, continue_trace(PARENT, "m1") as second:
        assert first == second


def test_a_request_id_that_is_a_uuid_is_the_id_of_a_new_trace() -> None:
    with continue_trace(None, "c6af9ac6-7b61-11e6-9a41-93e8deadbeef") as trace:
        assert trace.trace_id == "c6af9ac67b6111e69a4193e8deadbeef"


@given(st.text())
def test_every_seed_gives_a_valid_trace(seed: str) -> None:
    with continue_trace(seed, seed) as trace:
        assert parse_traceparent(str(trace)) == trace
        assert unpack_trace(trace.pack()) == trace


def test_an_unsampled_trace_is_stored_as_such() -> None:
    unsampled = parse_traceparent(PARENT.removesuffix("01") + "00")
    assert unsampled is not None
    assert unpack_trace(unsampled.pack()) == unsampled
    assert traceparent_of_item({"trace": unsampled.pack()}) == str(unsampled)
    assert traceparent_of_item({}) is None
    assert unpack_trace("of a later form") is None


def test_a_stored_trace_goes_on_in_another_request() -> None:
    with continue_trace(None, "retry") as retry:
        assert next_traceparent(STORED) == f"00-{TRACE_ID}-{retry.span_id}-01"
    assert next_traceparent(STORED) == PARENT, "outside of any trace"


def test_only_items_with_events_or_with_the_attribute_are_stamped() -> None:
    with continue_trace(PARENT, "m1") as trace:
        assert with_trace({"pk": "a"}) == {"pk": "a"}
        assert with_trace({"events": None}) == {"events": None}
        assert with_trace({"events": "…"})["trace"] == trace.pack()
        assert with_trace({"trace": None})["trace"] == trace.pack()
    assert with_trace({"events": "…"})["trace"] is None


def test_threads_continue_the_trace_of_the_caller() -> None:
    traced_map = parallel_map(3)
    with continue_trace(PARENT, "m1"):
        assert list(traced_map(lambda number: (number, current_trace_id()), range(9))) == [
            (number, TRACE_ID) for number in range(9)
        ]
    assert set(traced_map(lambda _: current_trace_id(), range(9))) == {""}
    assert parallel_map(1) is map


def test_log_keys_end_with_their_context() -> None:
    before = dict(logger.get_current_keys())
    with log_context(tenant_id="demo", portfolio_id=None):
        with log_context(tenant_id="other", message_id="m1"):
            logger.append_keys(rebalance_id="r1")
            assert logger.get_current_keys()["tenant_id"] == "other"
        keys = logger.get_current_keys()
        assert keys["tenant_id"] == "demo"
        assert not {"message_id", "rebalance_id", "portfolio_id"} & set(keys)
    assert dict(logger.get_current_keys()) == before

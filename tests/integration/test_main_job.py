"""The example of the README, through the real handlers."""

from tests.support.system import System

EXPECTED = [("SELL", "stocks", "10.0000"), ("BUY", "bonds", "10.0000")]


def test_a_drift_report_leads_back_to_the_target(system: System) -> None:
    system.portfolio()
    report = {"user_id": "1", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}}
    accepted = system.http("POST", "/rebalance", report, headers={"Idempotency-Key": "k1"})
    assert accepted.status == 202, accepted.text
    assert system.drain_queue() == 1

    status = system.http("GET", accepted.json["links"]["self"]).json
    assert status["status"] == "COMPLETED"
    moves = [(each["action"], each["asset"], each["rebalance_percent"]) for each in status["transactions"]]
    assert moves == EXPECTED
    assert status["reason"]["code"] == "outside_band"
    listed = system.http("GET", accepted.json["links"]["transactions"]).json
    assert listed == {"items": status["transactions"], "next_cursor": None}
    target = system.http("GET", accepted.json["links"]["portfolio"]).json["allocation"]
    assert target == {"stocks": "60.0000", "bonds": "30.0000", "gold": "10.0000"}

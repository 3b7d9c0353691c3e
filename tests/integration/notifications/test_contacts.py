"""Contacts through the real functions: accepted addresses, rejected mails, bounces and complaints."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator

from functions.notifications_api import handler as api_function
from functions.notifications_on_alert import handler as alert_function
from functions.notifications_on_mail_reported import handler as report_function
from tests.support.analytics import mailed_addresses
from tests.support.moto_state import stored_items, table
from tests.support.system import SENDER, System, payload, sqs_record
from trimtab.runtime.dynamodb.outbox import events_of

ADA, GRACE = "ada@example.com", "grace@example.com"
ALERT = payload("notifications_on_alert/alerts.json")["Records"][0]
BOUNCE, FULL, COMPLAINT = payload("notifications_on_mail_reported/bounces_and_complaint.json")["Records"]
CONTACTS = "/portfolios/265076e4-f1a0-5d1f-99a9-59a8b0e03f01/contacts"
MAILED_AT = datetime(2026, 11, 21, 9, 30, 2, tzinfo=UTC)


def put_contacts(system: System, emails: Any, *, at: datetime = MAILED_AT - timedelta(minutes=1)) -> Any:
    """Replace the contacts of the portfolio that payloads name; return the answer."""
    with mock.patch.object(api_function, "utc_now", return_value=at):
        api_function.contact_book.cache_clear()
        return system.http("PUT", CONTACTS, {"emails": emails})


def published_events() -> list[Any]:
    """Return the events of the table of contacts, as the bus gets them, each valid by its schema."""
    records = [record.to_json() for record in table("notifications").stream_shard.items]
    events = [event for record in records for event in events_of(record)]
    for event in events:
        Draft202012Validator(payload(f"schemas/{event['type']}.json")).validate(event)
    return events


def disabled(system: System) -> dict[str, str]:
    """Return the disabled addresses with their reasons."""
    return {each["email"]: each["reason"] for each in system.http("GET", CONTACTS).json["disabled"]}


@pytest.mark.parametrize(
    "emails",
    [
        *(["ada"], ["ada@"], ["a b@example.com"], ["ada@example.com\nBcc: x@y.z"], ["a@b"], [5], "ada@example.com"),
        *([".ada@example.com"], ["ada.@example.com"], ["a..da@example.com"], ["@example.com"], ["a@b@example.com"]),
        *(["ada@-example.com"], ["ada@example-.com"], ["ada@example..com"], ["ada@example.com."], ["ada@.com"]),
        *(["ada@127.0.0.1"], ["ada@[127.0.0.1]"], ['"a b"@example.com'], ["Ada <ada@example.com>"], ["ada,b@x.com"]),
        *(["ädä@example.com"], ["ada@exämple.com"], [""], [" ada@example.com"], ["ada@exa_mple.com"], ["a@x.com\n"]),
        *([f"{'a' * 65}@example.com"], [f"a@{'b' * 64}.com"], [f"a@{'b.' * 125}example.com"], ["a;b@x.com"], [None]),
        [f"a{number}@example.com" for number in range(11)],
    ],
)
def test_malformed_addresses_are_refused(system: System, emails: Any) -> None:
    home = f"/portfolios/{system.portfolio()['portfolio_id']}/contacts"
    assert system.http("PUT", home, {"emails": emails}).status == 400
    assert system.http("GET", home).json["emails"] == []


@pytest.mark.parametrize(
    "email",
    [
        *("o'brien@example.com", "a@b.c.d.example.co.uk", "ada+alerts@example.com", "a.b.c@example.com"),
        *("!#$%&'*+/=?^_`{|}~-@example.com", "a@xn--exmple-cua.com", f"{'a' * 64}@{'b' * 63}.example.com", "1@2.io"),
    ],
)
def test_addresses_of_rfc_5321_are_accepted_and_get_mail(system: System, email: str) -> None:
    system.portfolio()
    assert put_contacts(system, [email]).json["emails"] == [email]
    for _ in range(2):
        assert system.invoke_worker(ALERT, worker=alert_function) == set()
    assert mailed_addresses() == [email], "and each mail once"


def failing_ses(code: str) -> Any:
    """Return a client of SES that refuses every mail with this error code."""
    client = mock.Mock()
    client.send_raw_email.side_effect = ClientError({"Error": {"Code": code, "Message": "no"}}, "SendRawEmail")
    return client


@pytest.mark.parametrize(
    "code", ["MessageRejected", "MailFromDomainNotVerifiedException", "InvalidParameterValue", "ValidationError"]
)
def test_a_permanent_rejection_is_recorded_told_and_not_retried(system: System, code: str) -> None:
    system.portfolio()
    put_contacts(system, [ADA])
    with mock.patch.object(alert_function, "ses", return_value=failing_ses(code)):
        assert system.invoke_worker(ALERT, worker=alert_function) == set()
    alert_function.mail_service.cache_clear()
    assert system.invoke_worker(ALERT, worker=alert_function) == set()
    assert mailed_addresses() == []
    (event,) = published_events()
    assert (event["type"], event["tenantid"], event["data"]["email"]) == ("mail.rejected", "demo", ADA)
    assert code in event["data"]["reason"]


@pytest.mark.parametrize("code", ["Throttling", "ServiceUnavailable", "AccountSendingPausedException", "Unheard"])
def test_a_temporary_refusal_returns_to_the_queue(system: System, code: str) -> None:
    system.portfolio()
    put_contacts(system, [ADA])
    with mock.patch.object(alert_function, "ses", return_value=failing_ses(code)):
        assert system.invoke_worker(ALERT, worker=alert_function) == {ALERT["messageId"]}
    alert_function.mail_service.cache_clear()
    assert system.invoke_worker(ALERT, worker=alert_function) == set()
    assert mailed_addresses() == [ADA]
    assert published_events() == []


def test_a_sender_that_ses_has_not_verified_is_a_permanent_rejection(system: System) -> None:
    system.portfolio()
    put_contacts(system, [ADA])
    boto3.client("ses").delete_identity(Identity=SENDER)
    assert system.invoke_worker(ALERT, worker=alert_function) == set()
    assert [event["type"] for event in published_events()] == ["mail.rejected"]


def test_a_permanent_bounce_and_a_complaint_disable_the_address_and_tell_once(system: System) -> None:
    system.portfolio()
    put_contacts(system, [ADA, GRACE])
    assert system.invoke_worker(FULL, worker=report_function) == set()
    assert disabled(system) == {}, "a full mailbox is temporary"
    for _ in range(2):
        assert system.invoke_worker(BOUNCE, COMPLAINT, worker=report_function) == set()
    assert disabled(system) == {ADA: "bounce", GRACE: "complaint"}
    (first, second) = system.http("GET", CONTACTS).json["disabled"]
    assert first["detail"] == "General: smtp; 550 5.1.1 user unknown"
    assert (first["disabled_at"], second["detail"]) == ("2026-11-21T09:30:04.123000Z", "abuse")
    events = published_events()
    assert [(event["type"], event["data"]["email"]) for event in events] == [
        ("contact.disabled", ADA),
        ("contact.disabled", GRACE),
    ]
    assert len({event["id"] for event in events}) == 2
    assert system.invoke_worker(ALERT, worker=alert_function) == set()
    assert mailed_addresses() == []


def test_setting_the_address_again_enables_it_and_old_reports_no_longer_count(system: System) -> None:
    system.portfolio()
    put_contacts(system, [ADA])
    system.invoke_worker(BOUNCE, worker=report_function)
    again = put_contacts(system, [ADA], at=MAILED_AT + timedelta(hours=1)).json
    assert (again["emails"], again["disabled"]) == ([ADA], [])
    system.invoke_worker(BOUNCE, worker=report_function)
    assert disabled(system) == {}
    assert system.invoke_worker(ALERT, worker=alert_function) == set()
    assert mailed_addresses() == [ADA]
    assert all("events" not in item for item in stored_items("notifications"))


def test_a_report_on_a_mail_without_tags_and_an_unreadable_one_return_to_the_queue(system: System) -> None:
    untagged = sqs_record(BOUNCE["body"].replace('"portfolio"', '"other"'), message_id="untagged")
    assert system.invoke_worker(untagged, sqs_record("{}", message_id="no"), worker=report_function) == {
        "untagged",
        "no",
    }


def test_mail_names_the_configuration_set_and_the_portfolio_in_tags(system: System) -> None:
    system.portfolio()
    put_contacts(system, [ADA])
    ses = mock.Mock()
    with (
        mock.patch.dict("os.environ", {"MAIL_CONFIGURATION_SET": "trimtab-prod"}),
        mock.patch.object(alert_function, "ses", return_value=ses),
    ):
        assert system.invoke_worker(ALERT, worker=alert_function) == set()
    sent = ses.send_raw_email.call_args.kwargs
    assert sent["ConfigurationSetName"] == "trimtab-prod"
    tags = {tag["Name"]: tag["Value"] for tag in sent["Tags"]}
    reported = json.loads(BOUNCE["body"])["detail"]["mail"]["tags"]
    assert tags == {name: reported[name][0] for name in tags}

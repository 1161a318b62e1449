"""Alarms by mail, sent to a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

import django
import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.admin.utils import unquote as of_admin
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import include, path, resolve
from redis import Redis

from django_rediscron import get_scheduler
from django_rediscron.admin import ScheduleAdmin
from django_rediscron.core.story.runs import Run
from django_rediscron.models import Schedule
from django_rediscron.notify.links import list_link, schedule_link
from django_rediscron.notify.mail import make
from django_rediscron.notify.mail_text import SPELLED_OUT, WHAT
from django_rediscron.signals import SIGNALS
from tests.alarms import AT, alarm, due, work
from tests.processes import next_job_id
from tests.smtp import MailServer, mail_server, mail_settings

SITE = "https://example.com"
TO = ["ops@example.com"]

NASTY = "a\r\nBcc: thief@example.com\r\n\r\n<b>\x00\u202e\ud800 " + "x" * 10_000


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


def sent(server: MailServer) -> EmailMessage:
    """The next mail that arrived."""
    return server.mails.get(timeout=30)


def text_of(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


def test_a_mail_says_what_since_when_why_and_where(server: MailServer) -> None:
    run = Run("j", AT, "failed", AT, AT, error="ValueError: no such invoice")
    receiver = make(to=[*TO, "Boss <boss@example.com>"], site=f"{SITE}/", sender="cron@example.com")

    receiver.tell([alarm(id="billing:a/b", run=run)])

    mail = sent(server)
    assert mail["Subject"] == "[Django] billing:a/b failed"
    assert mail["From"] == "cron@example.com"
    assert mail["To"] == "ops@example.com, Boss <boss@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert text_of(mail).splitlines() == [
        "billing:a/b failed",
        "Schedule billing:a/b: the run due at 03:00:00 UTC failed.",
        "Error: ValueError: no such invoice",
        "Since: 2026-11-28 03:00:05 UTC",
        f"{SITE}/admin/django_rediscron/schedule/billing_3Aa_2Fb/change/",
    ]
    assert {each.partition("<")[2] for each in server.recipients} == {
        "ops@example.com>",
        "boss@example.com>",
    }


def test_several_alarms_are_one_mail_with_the_most_important_first(server: MailServer) -> None:
    kinds = ["leader_changed", "run_recovered", "schedule_disabled", "schedule_late"]

    make(to=TO, site=SITE).tell(
        [alarm(kind, "" if kind == "leader_changed" else kind) for kind in kinds]
    )

    mail = sent(server)
    assert server.mails.empty()
    assert mail["Subject"] == "[Django] schedule_disabled was disabled (and 3 more)"
    summary, *parts = text_of(mail).strip().split("\n\n")
    assert summary.startswith("4 alarms: 1 schedule_disabled, 1 schedule_late")
    assert [part.splitlines()[0] for part in parts] == [
        "schedule_disabled was disabled",
        "schedule_late is late",
        "Another scheduler leads",
        "run_recovered recovered",
    ]
    assert "Since: 2026-11-28 03:00:00 UTC" in parts[1], "the time that it was due"
    assert parts[2].splitlines()[-1] == f"{SITE}/admin/django_rediscron/schedule/"


def test_every_alarm_has_its_words() -> None:
    assert set(WHAT) == set(SIGNALS)


def test_what_is_too_much_is_counted(server: MailServer) -> None:
    many = [alarm(id=f"s{n}", text="t" * 5000) for n in range(SPELLED_OUT + 23)]

    make(to=TO, site=SITE).tell(many)

    mail = sent(server)
    assert mail["Subject"] == f"[Django] s0 failed (and {SPELLED_OUT + 22} more)"
    text = text_of(mail)
    assert len(text) < SPELLED_OUT * 1300
    assert text.endswith("\n\n23 more alarms\n")
    assert text.count(" failed\n") == SPELLED_OUT


@pytest.mark.parametrize("kind", sorted(WHAT))
def test_ids_and_errors_cannot_break_a_mail(server: MailServer, kind: str) -> None:
    run = Run("j", AT, "failed", AT, AT, error=NASTY)
    nasty = alarm(kind, id=NASTY, text=NASTY, run=run, facts={"error": NASTY, "failures": NASTY})

    make(to=TO, site=SITE, subject_prefix="[a\nb] ").tell([nasty, nasty])

    mail = sent(server)
    assert mail["Bcc"] is None
    assert set(mail.keys()) <= {
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "Content-Type",
        "Content-Transfer-Encoding", "MIME-Version",
    }  # fmt: skip
    assert len(mail["Subject"]) < 200
    assert not any(line.startswith("Bcc") for line in text_of(mail).splitlines())
    assert [each for each in server.recipients if "thief" in each] == []
    assert len(text_of(mail)) < 6000


@pytest.mark.parametrize(
    ("admins", "expected"),
    [
        (["ops@example.com", "boss@example.com"], "ops@example.com, boss@example.com"),
        ([("Ops", "ops@example.com")], "ops@example.com"),
    ],
)
def test_by_default_it_goes_to_the_admins(
    server: MailServer, admins: list[Any], expected: str
) -> None:
    changed: dict[str, Any] = {
        "ADMINS": admins,
        "SERVER_EMAIL": "root@example.com",
        "EMAIL_SUBJECT_PREFIX": "[shop] ",
    }
    with override_settings(**changed):
        make().tell([alarm()])
    mail = sent(server)
    assert (mail["To"], mail["From"]) == (expected, "root@example.com")
    assert mail["Subject"] == "[shop] billing failed"


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        ("CONNECT", "421 too busy"),
        ("MAIL", "451 try again later"),
        ("RCPT", "550 no such user"),
        ("DATA", "500 no"),
        ("MESSAGE", "554 it looks like spam"),
    ],
)
def test_what_a_server_refuses_has_failed(server: MailServer, verb: str, answer: str) -> None:
    server.answers[verb] = answer
    receiver = make(to=TO)
    with pytest.raises(OSError, match=answer[4:]):
        receiver.tell([alarm()])
    server.answers.clear()
    receiver.tell([alarm()])
    assert sent(server)["Subject"] == "[Django] billing failed"
    assert server.mails.empty()


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "DATA", "MESSAGE"])
def test_a_server_that_hangs_is_not_waited_for(server: MailServer, verb: str) -> None:
    server.answers[verb] = ""
    with pytest.raises(OSError, match="timed out"):
        make(to=TO, timeout=0.1).tell([alarm()])


def test_no_server() -> None:
    with mail_server() as server:
        port = server.port
    with override_settings(**mail_settings(port)), pytest.raises(ConnectionRefusedError):
        make(to=TO).tell([alarm()])


@pytest.mark.skipif(django.VERSION < (6, 1), reason="all other tests have these settings")
@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_the_settings_of_mail_that_came_before_mailers(server: MailServer) -> None:
    former = {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": server.port,
    }
    server.answers["CONNECT"] = ""
    with override_settings(**former):
        del settings.MAILERS
        with pytest.raises(OSError, match="timed out"):
            make(to=TO, timeout=0.1).tell([alarm()])
    assert server.refused.get(timeout=30) == "CONNECT"


# With a scheduler


@pytest.mark.django_db
def test_schedules_that_fail_tell_by_mail(
    connection: Redis, rq_queues: None, server: MailServer, client: Client
) -> None:
    options = {"to": TO, "site": SITE, "gather": 600, "kinds": ["run_failed"]}
    client.force_login(User.objects.create_superuser("operator"))
    due(connection, "billing:a/b", "reports 日報")
    with override_settings(REDISCRON={"NOTIFY": [("django_rediscron.notify.mail", options)]}):
        get_scheduler(name="one").start(burst=True)
        work(connection)
        get_scheduler(name="two").start(burst=True)

    mail = sent(server)
    assert server.mails.empty()
    assert str(mail["Subject"]).endswith(" failed (and 1 more)")
    text = text_of(mail)
    assert text.startswith("2 alarms: 2 run_failed\n\n")
    assert text.count("ValueError: it failed, with a reason") == 2
    links = [line for line in text.splitlines() if line.startswith(SITE)]
    pages = [client.get(link.removeprefix(SITE)) for link in links]
    assert [page.status_code for page in pages] == [200, 200]
    assert {page.context["original"].id for page in pages} == {"billing:a/b", "reports 日報"}


@pytest.mark.slow
def test_a_mail_server_that_hangs_delays_no_pass(
    connection: Redis, rq_queues: None, server: MailServer
) -> None:
    options = {"to": TO, "gather": 0, "timeout": 600, "kinds": ["run_failed"]}
    server.answers["CONNECT"] = ""
    due(connection, "first")
    with override_settings(REDISCRON={"NOTIFY": [("django_rediscron.notify.mail", options)]}):
        scheduler = get_scheduler()
        thread = threading.Thread(target=scheduler.start)
        thread.start()
        try:
            next_job_id(connection, "default")
            connection.lpush("rq:queue:default", *connection.zrange("rq:cron_job:first:jobs", 0, 0))
            work(connection)
            assert server.refused.get(timeout=30) == "CONNECT"
            due(connection, "second")
            assert next_job_id(connection, "default")
            server.answers.clear()
            server.closing.set()  # the attempt has failed, and there are two more
            assert sent(server)["Subject"] == "[Django] first failed"
        finally:
            scheduler.stop()
            thread.join(30)
    assert not thread.is_alive()


# Links


@pytest.mark.parametrize("id", ["a", "a/b:c d", "q\"'<&>?#%", "日報", "_5F", "a\\b.."])
def test_links_lead_to_the_schedule(id: str) -> None:
    link = urlsplit(schedule_link(id, SITE))
    assert (link.scheme, link.netloc, link.query, link.fragment) == ("https", "example.com", "", "")
    found = resolve(unquote(link.path))
    assert found.url_name == "django_rediscron_schedule_change"
    assert of_admin(found.kwargs["object_id"]) == id


def test_links_follow_the_admin() -> None:
    assert list_link() == "/admin/django_rediscron/schedule/", "no site is known"
    with override_settings(FORCE_SCRIPT_NAME="/app/"):
        assert list_link(SITE) == f"{SITE}/app/admin/django_rediscron/schedule/"
    with override_settings(ROOT_URLCONF="no.such"):
        assert schedule_link("a", SITE) == ""


def test_links_lead_to_an_admin_wherever_it_is() -> None:
    site = AdminSite(name="backstage")
    with override_settings(ROOT_URLCONF=(path("a/", site.urls),)):
        assert schedule_link("a", SITE) == list_link(SITE) == ""
    site.register(Schedule, ScheduleAdmin)
    with override_settings(ROOT_URLCONF=(path("b/", include([path("c/", site.urls)])),)):
        assert list_link(SITE) == f"{SITE}/b/c/django_rediscron/schedule/"


def test_without_a_site_the_current_one_of_django_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with override_settings(
        INSTALLED_APPS=[*settings.INSTALLED_APPS, "django.contrib.sites"], SITE_ID=1
    ):
        from django.contrib.sites.models import SITE_CACHE, Site

        # The app of the admin was made ready again, and found a model that will be gone.
        if admin.site.is_registered(Site):
            admin.site.unregister(Site)
        assert list_link() == "/admin/django_rediscron/schedule/", "the database is not available"
        assert "Links to the admin have no host" in caplog.text
        SITE_CACHE[1] = Site(domain="shop.example")
        try:
            assert list_link() == "https://shop.example/admin/django_rediscron/schedule/"
            assert list_link(SITE).startswith(SITE)
        finally:
            SITE_CACHE.clear()

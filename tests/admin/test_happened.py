"""What stands above the form of a schedule, and what is refreshed of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from redis import Redis

from django_rediscron import RedisCronJob

from .conftest import LIST
from .forms import change_url, errors, load, send

Make = Callable[..., RedisCronJob]
STORY, FORM = 'id="rediscron-story"', 'id="schedule_form"'


@pytest.fixture(autouse=True)
def _allowed(settings: Any) -> None:
    settings.REDISCRON = {"ALLOWED_FUNCTIONS": ["tests.tasks.*"]}


def happened_url(id: str) -> str:
    return f"{LIST}{quote(id)}/happened/"


def test_it_comes_before_the_form(operator: Client, schedule: Make) -> None:
    schedule("a/b")
    page = operator.get(change_url("a/b")).text
    assert page.index('class="rediscron-state"') < page.index(STORY) < page.index(FORM)
    assert "autofocus" not in page
    assert 'href="#rediscron-settings"' in page


def test_after_an_error_the_form_comes_first_and_has_the_focus(
    operator: Client, schedule: Make
) -> None:
    job = schedule("job")
    loaded = load(operator, change_url("job"))
    page = send(operator, change_url("job"), loaded, interval="nonsense").text
    assert page.index(FORM) < page.index(STORY)
    (focused,) = re.findall("<[^>]* autofocus[^>]*>", page)
    assert 'name="interval"' in focused
    # A conflict belongs to no field.
    job.disable()
    page = send(operator, change_url("job"), loaded, interval="600").text
    assert page.count("autofocus") == 1
    assert 'tabindex="-1" autofocus>Settings' in page


def test_the_timing_of_a_stored_one_is_checked_whatever_else_is_wrong(
    operator: Client, schedule: Make
) -> None:
    schedule("job")
    loaded = load(operator, change_url("job"))
    wrong = {"func_name": "os.system", "interval": "", "cron": "61 * * * *"}
    found = errors(send(operator, change_url("job"), loaded, **wrong))
    assert list(found) == ["func_name", "cron"]


def test_only_the_newest_are_shown_until_more_is_asked_for(
    operator: Client, schedule: Make
) -> None:
    job = schedule("job")
    for interval in range(1, 12):
        job.interval = interval
        job.save()
    lines = "Revert to this"
    page = operator.get(change_url("job")).text
    assert page.count(lines) == 7  # not beside the present one
    assert "All 12 entries" in page
    assert operator.get(change_url("job"), {"page": "1"}).text.count(lines) == 11


def test_is_refreshed_by_who_may_look(
    client_with: Callable[..., Client], schedule: Make, connection: Redis
) -> None:
    job = schedule("a/b")
    viewer = client_with("view")
    version = job.version
    before = viewer.get(happened_url("a/b"), {"kind": "change"}).text
    assert f'data-version="{version}"' in before
    assert 'data-news="enabled"' in before
    assert "<html" not in before
    job.disable(actor="admin:carol")
    after = viewer.get(happened_url("a/b")).text
    assert 'data-news="disabled"' in after
    assert "Changed meanwhile by carol" in after
    assert f'data-version="{version}"' not in after
    assert client_with("add").get(happened_url("a/b")).status_code == 403
    job.delete()
    assert viewer.get(happened_url("a/b")).status_code == 404


@pytest.mark.parametrize("page", ["change", "history", "delete", "disable", "run", "revert"])
def test_breadcrumbs_lead_back_to_the_schedule(page: str, operator: Client, schedule: Make) -> None:
    schedule("a/b").disable()
    query = {"revision": "1"} if page == "revert" else {}
    text = operator.get(f"{LIST}{quote('a/b')}/{page}/", query).text
    crumbs = text[text.index('class="breadcrumbs"') :].split("</nav>")[0].split("</div>")[0]
    assert f'href="{LIST}"' in crumbs
    assert page == "change" or f'href="{change_url("a/b")}"' in crumbs
    assert "a/b" in crumbs


@pytest.mark.parametrize("page", ["timeline", "deleted", "gone"])
def test_breadcrumbs_lead_back_to_the_list(page: str, operator: Client, schedule: Make) -> None:
    schedule("gone").delete()
    path = "gone/deleted" if page == "gone" else page
    text = operator.get(f"{LIST}{path}/").text
    crumbs = text[text.index('class="breadcrumbs"') :].split("</nav>")[0].split("</div>")[0]
    assert f'href="{LIST}"' in crumbs
    assert page != "gone" or f'href="{LIST}deleted/"' in crumbs

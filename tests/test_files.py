"""Schedules in files: what is exported can be imported again, and what is wrong is told where."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from rq import Retry

from django_rediscron import RedisCronJob
from django_rediscron.core.files import yaml_nodes
from django_rediscron.core.files.fields import FIELDS
from django_rediscron.core.files.importing import Import
from django_rediscron.core.files.json_nodes import json_node
from django_rediscron.core.files.nodes import WrongFileError
from django_rediscron.core.files.reading import read_file
from django_rediscron.core.files.schema import schema
from django_rediscron.core.files.writing import file_text
from django_rediscron.core.schedule.codec import LEFT_OUT
from django_rediscron.core.schedule.definition import Off
from django_rediscron.core.schedule.forms import duration_text
from django_rediscron.core.schedule.options import OPTIONS
from django_rediscron.core.schedule.rq_options import Webhook
from django_rediscron.core.scheduler import RedisCronScheduler
from django_rediscron.core.store.actors import current_actor
from django_rediscron.core.store.keys import DISABLED_UNTIL, job_key
from django_rediscron.core.timing.durations import as_seconds

from .forks import ROOT
from .tasks import echo
from .test_cli import environment, verbs_on

ECHO = "tests.tasks.echo"
needs_yaml = pytest.mark.skipif(yaml_nodes.yaml is None, reason="without PyYAML")
FORMATS = [pytest.param("yaml", marks=needs_yaml), "json"]

at_random = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def export(connection: Redis, form: str = "json", **options: Any) -> str:
    """What is stored, as a file."""
    return file_text(RedisCronScheduler(connection).get_all_jobs(), form, **options)


def take(connection: Redis, text: str, name: str = "schedules.yaml", **options: Any) -> list[str]:
    """Import a file; what became of each schedule."""
    task = Import(read_file(text.encode(), name), connection, **options)
    steps = list(task.carry_out())
    assert not [step.error for step in steps if step.error]
    return [f"{step.id} {step.outcome}" for step in steps]


def a_file(connection: Redis | None = None, **keywords: Any) -> str:
    """JSON with one schedule `a`; keywords of None are left out."""
    said = {"function": ECHO, "queue": "default", "interval": "10m", **keywords}
    schedule = {name: value for name, value in said.items() if value is not None}
    return json.dumps({"version": 1, "schedules": {"a": schedule}})


def mistakes(text: str, name: str = "schedules.yaml") -> list[str]:
    """`line:column id: text` of what is wrong."""
    with pytest.raises(WrongFileError) as raised:
        read_file(text.encode(errors="surrogatepass"), name)
    return [told(mistake) for mistake in raised.value.mistakes]


def told(mistake: Any) -> str:
    about = f"{mistake.id}: " if mistake.id else ""
    return f"{mistake.place.line}:{mistake.place.column} {about}{mistake.text}"


# Random definitions

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
lines = st.one_of(
    texts, st.sampled_from(["yes", "010", "1e5", "1:30", "~", "2026-06-03", "- a", "#", "=", "<<"])
)
ids = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
    lambda text: text not in (".", "..") and not text.endswith(":jobs")
)
names = st.one_of(ids, st.sampled_from(["1", "null", "true", "0x1F", "a: b", "? a"]))
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**20), 10**20),
        st.floats(allow_nan=False, allow_infinity=False),
        lines,
    ),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(lines, inside, max_size=3),
    max_leaves=6,
)
whole_seconds = st.one_of(st.sampled_from([1, 60, 3600, 86400, 604800]), st.integers(1, 10**8))
any_seconds = st.one_of(whole_seconds, st.floats(0.001, 10**6))
moments = st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1), timezones=st.just(timezone.utc))
callbacks = st.sampled_from(["tests.tasks.succeeded", "tests.tasks.failed 7"])
options: dict[str, st.SearchStrategy[Any]] = {
    "timezone": st.sampled_from(["Europe/Paris", "UTC"]),
    "start_at": moments,
    "end_at": moments,
    "max_runs": st.integers(1, 2**53),
    "jitter": any_seconds,
    "misfire_grace": any_seconds,
    "catch_up": st.sampled_from(["latest", "all", "skip"]),
    "catch_up_limit": st.integers(1, 10_000),
    "overlap": st.sampled_from(["allow", "skip", "queue_one"]),
    "max_failures": st.integers(1, 10),
    "max_runtime": any_seconds,
    "notify": st.one_of(
        st.booleans(),
        st.fixed_dictionaries(
            {},
            optional={
                "failures": st.integers(1, 5),
                "late_after": any_seconds,
                "margin": any_seconds,
                "by_hand": st.booleans(),
            },
        ),
    ),
    "tags": st.lists(st.from_regex(r"[a-z0-9.:/-]{1,50}", fullmatch=True), max_size=5),
    "retry": st.builds(
        Retry, st.integers(1, 9), st.lists(st.integers(0, 10**6), min_size=1, max_size=3)
    ),
    "on_success": callbacks,
    "on_failure": callbacks,
    "on_stopped": callbacks,
    "at_front": st.booleans(),
    "description": lines,
}
others: dict[str, st.SearchStrategy[Any]] = {
    "args": st.lists(values, max_size=3).map(tuple),
    "kwargs": st.dictionaries(lines, values, max_size=3),
    "job_timeout": st.one_of(st.just(-1), whole_seconds),
    "result_ttl": st.one_of(st.none(), st.sampled_from([-1, 0, 500]), whole_seconds),
    "ttl": whole_seconds,
    "failure_ttl": st.one_of(st.just(-1), whole_seconds),
    "meta": st.dictionaries(lines, values, max_size=3),
    "name": lines,
    "enabled": st.booleans(),
}
if Webhook is not None:
    others["webhooks"] = st.lists(
        st.builds(
            Webhook,
            st.just("https://example.com/hook"),
            st.sampled_from(["finished", "failed"]),
            method=st.sampled_from(["GET", "POST"]),
            headers=st.none() | st.dictionaries(lines, lines, max_size=2),
            timeout=st.integers(1, 60),
        ),
        max_size=2,
    )
reasons = st.text(st.characters(exclude_categories=("C", "Z")), max_size=20)
timings = st.one_of(
    st.fixed_dictionaries({"interval": whole_seconds}),
    st.fixed_dictionaries({"cron": st.sampled_from(["*/5 * * * *", "0 3 * * mon", "@daily"])}),
)


@st.composite
def definitions(draw: Any) -> dict[str, Any]:
    """The arguments of a schedule, beside its id."""
    said = draw(st.fixed_dictionaries({}, optional={**options, **others}))
    said.update(draw(timings))
    if {"start_at", "end_at"} <= said.keys():
        said["start_at"], said["end_at"] = sorted((said["start_at"], said["end_at"]))
    if not said.get("enabled", True):
        said["off"] = Off(reason=draw(reasons), until=draw(st.none() | moments))
    return {"queue_name": draw(st.sampled_from(["default", "reports"])), **said}


def a_job(id: str, connection: Redis | None = None, **said: Any) -> RedisCronJob:
    """A schedule of such a definition."""
    off = said.pop("off", Off())
    job = RedisCronJob(id, func=echo, connection=connection, **said)
    job.off = off
    return job


def test_every_option_is_in_files_and_among_the_random_ones() -> None:
    assert OPTIONS.keys() == options.keys()
    assert FIELDS.keys() >= OPTIONS.keys()


@pytest.mark.parametrize("form", FORMATS)
@at_random
@given(found=st.dictionaries(names, definitions(), max_size=4))
def test_what_is_exported_can_be_imported(
    connection: Redis, form: str, found: dict[str, dict[str, Any]]
) -> None:
    """Export, import, export is identical to the byte; so are the definitions in Redis."""
    connection.flushdb()
    for id, said in found.items():
        a_job(id, connection, **said).save()
    stored = stored_definitions(connection)
    off = {id: said.get("off", Off()) for id, said in found.items()}
    assert {id: said["off"] for id, said in stored.items()} == {
        id: f"{each.reason} {each.until}" for id, each in off.items()
    }
    text = export(connection, form, with_secrets=True)
    assert {line.split()[-1] for line in take(connection, text)} <= {"unchanged"}
    connection.flushdb()
    assert len(take(connection, text, f"a.{form}")) == len(found)
    assert export(connection, form, with_secrets=True) == text
    assert stored_definitions(connection) == stored


def stored_definitions(connection: Redis) -> dict[str, dict[str, str]]:
    jobs = RedisCronScheduler(connection).get_all_jobs()
    return {
        job.id: {
            **job.definition(),
            "enabled": str(job.enabled),
            "off": f"{job.disabled_reason} {job.disabled_until}",
        }
        for job in jobs
    }


@at_random
@given(said=definitions(), changed=definitions())
def test_an_import_undoes_every_change(
    connection: Redis, said: dict[str, Any], changed: dict[str, Any]
) -> None:
    connection.flushdb()
    a_job("a", connection, **said).save()
    text = export(connection, with_secrets=True)
    a_job("a", connection, **changed).save()
    take(connection, text)
    assert export(connection, with_secrets=True) == text


def test_a_file_says_why_and_until_when_a_schedule_is_disabled(connection: Redis) -> None:
    off = {"enabled": False, "disabled_reason": "moving", "disabled_until": "2026-06-03T05:40:00Z"}
    assert take(connection, a_file(**off)) == ["a created"]
    job = RedisCronJob.fetch("a", connection)
    assert (job.disabled_reason, job.disabled_by) == ("moving", current_actor())
    assert (job.get_changes(connection)[0].reason, connection.zcard(DISABLED_UNTIL)) == (
        "moving",
        1,
    )
    assert take(connection, a_file(**off)) == ["a unchanged"]
    steps = Import(read_file(a_file(enabled=False).encode(), "a.json"), connection).steps
    assert steps[0].changes == {
        "disabled_reason": ("moving", ""),
        "disabled_until": ("2026-06-03T05:40:00.000000Z", ""),
    }
    take(connection, a_file())  # says nothing of its state
    assert RedisCronJob.fetch("a", connection).disabled_reason == "moving"
    take(connection, a_file(enabled=False))
    assert not connection.exists(DISABLED_UNTIL)
    take(connection, a_file(**off))
    RedisCronScheduler(connection).start(burst=True)  # that time has passed
    assert RedisCronJob.fetch("a", connection).enabled


def test_a_schedule_that_is_enabled_has_no_reason() -> None:
    told = mistakes(a_file(disabled_reason="why", enabled=True))
    assert [text.partition(": ")[2] for text in told] == [
        "disabled_reason is only for schedules with enabled: false"
    ]


# The schema

junk = st.one_of(
    values, st.sampled_from(["10m", "-1", "", "UTC", 0, 1, -1, 1.5, [], {}, [[]], {"max": 1}])
)


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema())


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(said=definitions(), keyword=st.sampled_from([*FIELDS, "other"]), value=junk, nested=junk)
def test_what_is_accepted_meets_the_schema(
    validator: Any, said: dict[str, Any], keyword: str, value: Any, nested: Any
) -> None:
    text = file_text([a_job("a", **said)], "json", with_secrets=True)
    content = json.loads(text)
    assert validator.is_valid(content)
    schedule = content["schedules"]["a"]
    inside = schedule.get(keyword)
    if isinstance(inside, dict) and inside and keyword not in ("kwargs", "meta"):
        inside[next(iter(inside))] = nested
    elif isinstance(inside, list) and inside and keyword != "args":
        inside[0] = nested
    else:
        schedule[keyword] = value
    try:
        read_file(json.dumps(content).encode(), "a.json")
    except WrongFileError:
        return
    assert validator.is_valid(content), list(validator.iter_errors(content))


@pytest.mark.parametrize(
    "keywords",
    [
        {"function": 5},
        {"queue": None},
        {"interval": None},
        {"cron": "* * * * *"},
        {"interval": "often"},
        {"interval": 0},
        {"args": {}},
        {"kwargs": []},
        {"start_at": 5},
        {"max_runs": 0},
        {"jitter": []},
        {"catch_up": "some"},
        {"notify": {"failures": 0}},
        {"notify": {"other": 1}},
        {"tags": ["two words"]},
        {"retry": {"intervals": [1]}},
        {"retry": {"max": 1, "intervals": ["soon"]}},
        {"job_timeout": -2},
        {"ttl": 1.5},
        {"at_front": "yes"},
        {"webhooks": [{"url": "https://example.com"}]},
        {"enabled": 1},
        {"enabled": False, "disabled_reason": "x" * 201},
        {"enabled": False, "disabled_until": 5},
        {"lock": True},
    ],
    ids=str,
)
def test_what_does_not_meet_the_schema_is_refused(validator: Any, keywords: Any) -> None:
    assert not validator.is_valid(json.loads(a_file(**keywords)))
    assert mistakes(a_file(**keywords))


def test_the_schema_tells_defaults_as_they_are_written() -> None:
    found = schema()["$defs"]["schedule"]["properties"]
    assert found["catch_up_limit"]["default"] == 100
    assert as_seconds(found["result_ttl"]["default"]) == int(LEFT_OUT["result_ttl"])


# How it is written


@needs_yaml
def test_a_file_reads_as_people_write_it(connection: Redis) -> None:
    RedisCronJob(
        "billing:daily",
        "reports",
        func=echo,
        cron="0 3 * * *",
        kwargs={"month": "2026-06"},
        timezone="Europe/Paris",
        start_at=datetime(2026, 6, 3, tzinfo=timezone.utc),
        jitter=90,
        misfire_grace=5400,
        retry=Retry(3, [60, 600]),
        result_ttl=86400,
        enabled=False,
        connection=connection,
    ).save()
    head, _, body = export(connection, "yaml").partition("version")
    assert all(line.startswith("#") for line in head.splitlines())
    assert f"version{body}" == (
        "version: 1\n"
        "schedules:\n"
        "  billing:daily:\n"
        "    function: tests.tasks.echo\n"
        "    queue: reports\n"
        "    cron: 0 3 * * *\n"
        "    kwargs:\n"
        "      month: 2026-06\n"
        "    timezone: Europe/Paris\n"
        "    start_at: '2026-06-03T00:00:00Z'\n"
        "    jitter: 90s\n"
        "    misfire_grace: 90m\n"
        "    retry:\n"
        "      max: 3\n"
        "      intervals:\n"
        "      - 1m\n"
        "      - 10m\n"
        "    result_ttl: 1d\n"
        "    enabled: false\n"
    )


@given(any_seconds)
def test_durations_are_exact(seconds: float) -> None:
    assert as_seconds(duration_text(seconds)) == seconds


@needs_yaml
def test_words_are_what_they_look_like() -> None:
    """Neither dates nor base 60, octal numbers, or `no` for false."""
    words = ["no", "on", "010", "1:30", "2026-06-03", "0x10", "1_000", "'5'", ".inf", "null_"]
    text = "a: [" + ", ".join(words) + "]\nb: [5, -1.5, 1e3, true, ~, null]"
    found = yaml_nodes.yaml_node(text).plain()
    assert found["a"] == [word.strip("'") for word in words]
    assert found["b"] == [5, -1.5, 1000.0, True, None, None]


@needs_yaml
@pytest.mark.parametrize("text", ["a\x85b", "a\u2028b", "\ufeffa", "a\nb\n", "\r", " a ", "\x00"])
def test_yaml_keeps_every_character(text: str) -> None:
    content = {"a": text, text: [text]}
    assert yaml_nodes.yaml_node(yaml_nodes.yaml_text(content)).plain() == content


@given(values)
def test_json_is_read_as_python_reads_it(value: Any) -> None:
    for indent in (None, 2):
        text = json.dumps(value, indent=indent)
        assert json_node(text).plain() == json.loads(text)


# Mistakes

YAML = f"""\
version: 1
schedules:
  a:
    function: {ECHO}
    queue: default
    interval: 10m
"""


@needs_yaml
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1 it must be a mapping with version: 1 and schedules"),
        ("- a", "1:1 it must be a mapping"),
        ("a: [\n", "2:1 while parsing a flow"),
        ("a: 'b", "1:6 while scanning a quoted scalar"),
        (
            "a:\n\tb: 1",
            "2:1 while scanning for the next token, found character that cannot start any "
            "token, which is a tab; indent with spaces",
        ),
        (
            YAML + "    cron: * * * * *",
            "7:12 while scanning an alias, did not find expected "
            "alphabetic or numeric character, write a text that begins like this in quotes",
        ),
        (
            YAML + "    cron: @daily",
            "7:11 while scanning for the next token, found character that "
            "cannot start any token, write a text that begins like this in quotes",
        ),
        (YAML.replace("default", "null"), "5:12 a: queue must be a text, got None"),
        ("a: \x07", "1:4 the character '\\x07' must be escaped"),
        (YAML + "---\na: 1", "7:1 expected a single document"),
        (YAML.replace("version: 1", "version: 2"), "1:10 version must be 1"),
        (YAML.replace("version: 1", "version: '1'"), "1:10 version must be 1"),
        (YAML.replace("version: 1\n", ""), "1:1 version is missing"),
        ("version: 1\nschedules:\n", "2:11 schedules must be a mapping of ids"),
        (YAML + "more: 1", "7:1 unknown key 'more'"),
        (YAML + "version: 1", "7:1 the key 'version' stands twice"),
        (YAML + "  a: {}", "7:3 the key 'a' stands twice"),
        (YAML + "    queue: x", "7:5 the key 'queue' stands twice"),
        (YAML + "  5: {}", "7:3 keys must be texts, got '5'; write it in quotes"),
        (YAML + "  'a\\tb':\n    function: x.y", None),
        (YAML + "  b: text", "7:6 b: a schedule must be a mapping, got 'text'"),
        (YAML + "  b:", "7:5 b: a schedule must be a mapping, got None"),
        (YAML.replace("    queue: default\n", ""), "3:3 a: queue is missing"),
        (YAML + "    cron: '* * * * *'", "3:3 a: either interval or cron is needed, got both"),
        (YAML.replace("10m", "often"), "6:15 a: interval must be a positive whole number"),
        (YAML.replace("10m", "~"), "6:15 a: interval must be a whole number or a text, got None"),
        (YAML + "    timezone: Mars", "7:15 a: timezone must be"),
        (YAML + "    start_at: 2026-06-03", "7:15 a: start_at must be a time with its offset"),
        (YAML + "    end_at: 5", "7:13 a: end_at must be a text or null, got 5"),
        (YAML + "    catch_up: some", "7:15 a: catch_up must be one of 'latest'"),
        (YAML + "    enabled: yes", "7:14 a: enabled must be true or false, got 'yes'"),
        (YAML + "    kwargs: {a: .5}\n    args: [1, 2\n", "9:1 "),
        (YAML + "    intervall: 5m", "7:5 a: unknown keyword 'intervall'; there are function"),
        (YAML + "    kwargs: &x {}\n    meta: *x", "7:13 anchors and aliases are not supported"),
        (YAML + "    args: [!!python/name:os.system x]", "7:12 the tag 'tag:yaml.org,2002:python"),
        (YAML + "    args: [!!timestamp 2026-06-03]", "7:12 the tag "),
        (YAML + "    args: [!!int x]", "7:12 the tag '!!int' is not supported"),
        (YAML + "    args: " + "[" * 150 + "]" * 150, "7:11 a: args[0]"),
        (YAML + f"    args: [{'9' * 5000}]", "7:12 "),
        (YAML + "    retry: {max: 1, intervals: {5: 1}}", "7:33 keys must be texts"),
        (YAML + "    tags: {a: 1}", "7:11 a: tags must be a list, got {'a': 1}"),
        (YAML + "    webhooks: [{url: 'https://a.b'}]", "7:15 a: field 'webhooks' "),
        (YAML + "    webhooks: [{u: 1, token: t}]", "7:15 a: webhooks must be mappings of url"),
        (YAML.replace(ECHO, "echo"), "4:15 a: function must be a dotted name"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, expected: str | None) -> None:
    found = mistakes(text)
    if expected is not None:
        assert any(each.startswith(expected) for each in found), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "1:2 a key in double quotes is missing"),
        ("{\n  a: 1}", "2:3 a key in double quotes is missing"),
        ('{"a" 1}', "1:6 ':' is missing"),
        ('{"a": 1 "b": 2}', "1:9 ',' or '}' is missing"),
        ('{"a": 1,}', "1:9 a key in double quotes is missing"),
        ('{"a": [1, 2}', "1:12 ',' or ']' is missing"),
        ('{"a": [1,]}', "1:10 ']' is no JSON value"),
        ('{"a": NaN}', "1:7 'N' is no JSON value"),
        ('{"a": }', "1:7 '}' is no JSON value"),
        ('{"a": "b', "1:7 text in quotes: Unterminated string"),
        ('{"a": 1}{', "1:9 nothing may follow"),
        ('{"a": 1,\n "a": 2}', "2:2 the key 'a' stands twice"),
        ('{"a": ' + "9" * 5000 + "}", "1:7 the number has too many digits"),
        ('{"a": ' + "[" * 100_000, "1:1 it is nested too deeply"),
        ('{"version": true, "schedules": {}}', "1:13 version must be 1"),
        (
            '{"version": 1, "name": "\\ud800", "schedules": {}}',
            "1:24 name must be a text that is not",
        ),
        (a_file(args=["\ud800"]), "a: args[0] must be proper Unicode"),
    ],
)
def test_a_mistake_in_json_is_told_with_its_place(text: str, expected: str) -> None:
    (found,) = mistakes(text, "a.json")
    assert expected in found


def test_all_mistakes_are_told_at_once() -> None:
    assert len(mistakes(a_file(function=5, jitter=[], max_runs=0, other=1))) == 4


def test_a_file_may_have_a_name_that_is_not_utf_8(connection: Redis) -> None:
    found = read_file(a_file().encode(), "a\udcff.json")
    assert found.name == "a\\xff.json"
    assert [step.outcome for step in Import(found, connection).carry_out()] == ["created"]


def test_what_is_not_utf_8_is_told() -> None:
    with pytest.raises(WrongFileError) as raised:
        read_file(b'{"version": 1,\n "n\xff": 1}', "a.json")
    assert told(raised.value.mistakes[0]) == "2:4 it is not UTF-8"


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"function": "tests.tasks.nothing"}, "function"),
        ({"function": "tests.nowhere.f"}, "function"),
        ({"on_success": "tests.tasks.nothing"}, "on_success"),
        ({"start_at": "2026-06-03T00:00:00Z", "end_at": "2026-06-02T00:00:00Z"}, ""),
        ({"kwargs": {"password": "********"}}, "kwargs"),
        ({"description": "x" * 3_000_000}, ""),
    ],
)
def test_nothing_is_written_if_anything_is_wrong(
    connection: Redis, keywords: Any, expected: str
) -> None:
    content = json.loads(a_file())
    content["schedules"]["b"] = {**content["schedules"]["a"], **keywords}
    text = json.dumps(content)
    with pytest.raises(WrongFileError) as raised:
        take(connection, text)
    (mistake,) = raised.value.mistakes
    key = f'"{expected}": ' if expected else '"b"'
    shift = len(key) if expected else 0
    assert mistake.id == "b"
    assert mistake.place == (1, text.index(key, text.index('"b"')) + shift + 1)
    assert not connection.keys("*")


# Writing


def test_an_import_writes_as_if_by_hand(connection: Redis) -> None:
    assert take(connection, a_file(jitter=5, max_runs=7)) == ["a created"]
    job = RedisCronJob.fetch("a", connection)
    assert (job.jitter, job.max_runs, job.enabled, job.source) == (5, 7, True, "runtime")
    job.disable()
    assert take(connection, a_file(jitter=6)) == ["a updated"]
    job.refresh()
    assert (job.jitter, job.max_runs) == (6, None)
    assert not job.enabled  # as the file does not say it
    assert take(connection, a_file(jitter=6)) == ["a unchanged"]
    assert take(connection, a_file(jitter=6, enabled=True)) == ["a updated"]
    before = connection.hgetall(job_key("a"))
    assert take(connection, export(connection)) == ["a unchanged"]
    assert connection.hgetall(job_key("a")) == before


def test_a_schedule_that_is_changed_meanwhile_is_left_alone(connection: Redis) -> None:
    take(connection, a_file())
    content = json.loads(a_file(jitter=5))
    content["schedules"]["b"] = content["schedules"]["a"]
    task = Import(read_file(json.dumps(content).encode(), "a.json"), connection)
    job = RedisCronJob.fetch("a", connection)
    job.jitter = 7
    job.save()
    refused, done = task.carry_out()
    assert "was changed meanwhile" in refused.error
    assert (done.error, RedisCronJob.fetch("b", connection).jitter) == ("", 5)
    assert RedisCronJob.fetch("a", connection).jitter == 7


def test_what_the_code_locks_is_refused_unless_it_is_the_same(connection: Redis) -> None:
    take(connection, a_file())
    origin = {"source": "code", "application": "site", "place": "apps.py:7", "locked": "1"}
    connection.hset(job_key("a"), mapping=origin)
    assert take(connection, a_file()) == ["a unchanged"]
    with pytest.raises(WrongFileError, match=r"locked by the code.*apps.py:7"):
        take(connection, a_file(jitter=5))


def test_a_damaged_schedule_is_replaced(connection: Redis) -> None:
    take(connection, a_file())
    connection.hset(job_key("a"), "interval", "often")
    assert take(connection, a_file()) == ["a created"]
    assert RedisCronJob.fetch("a", connection).interval == 600


def test_masked_arguments_stay_as_they_are_stored(connection: Redis) -> None:
    secrets = {"api_key": "s3cret", "deep": [{"password": "pw", "user": "u"}]}
    take(connection, a_file(kwargs=secrets))
    text = export(connection)
    assert "s3cret" not in text
    assert "pw" not in text
    assert take(connection, text) == ["a unchanged"]
    assert take(connection, text.replace('"u"', '"v"')) == ["a updated"]
    kwargs = RedisCronJob.fetch("a", connection).kwargs
    assert kwargs == {"api_key": "s3cret", "deep": [{"password": "pw", "user": "v"}]}
    assert "s3cret" in export(connection, with_secrets=True)


def test_prune_deletes_what_the_same_file_named_before(connection: Redis) -> None:
    def named(*ids: str, **top: Any) -> str:
        content = json.loads(a_file())
        schedule = content["schedules"]["a"]
        return json.dumps({**content, **top, "schedules": dict.fromkeys(ids, schedule)})

    RedisCronJob("by hand", "default", func=echo, interval=5, connection=connection).save()
    take(connection, named("other"), "other.json")
    take(connection, named("a", "b", "c", "d", "e"), "/first/place/file.json")
    take(connection, named("d"), "other.json")  # it names it now
    RedisCronJob.fetch("e", connection).delete()
    assert take(connection, named("a", "b"), "file.json") == ["a unchanged", "b unchanged"]
    pruned = take(connection, named("a"), "/second/file.json", prune=True)
    assert pruned == ["a unchanged", "b deleted", "c deleted"]
    found = {job.id for job in RedisCronScheduler(connection).get_all_jobs()}
    assert found == {"a", "by hand", "d", "other"}
    RedisCronJob("b", "default", func=echo, interval=5, connection=connection).save()
    assert take(connection, named("a"), "file.json", prune=True) == ["a unchanged"]
    assert take(connection, named("x", name="file.json"), "y.json", prune=True) == [
        "x created",
        "a deleted",
    ]


# At a terminal


@pytest.fixture
def told_by(connection: Redis, redis_url: str) -> Any:
    return verbs_on(redis_url)


def test_files_at_a_terminal(connection: Redis, told_by: Any, tmp_path: Path) -> None:
    file = tmp_path / "schedules.json"
    file.write_text(a_file(kwargs={"token": "s3cret"}))
    assert told_by("import", str(file), "--dry-run") == "a  would be created\n"
    assert not connection.keys("*")
    assert told_by("import", str(file)) == "a  created\n"
    file.write_text(a_file(interval="15m", kwargs={"token": "other"}))
    assert told_by("import", str(file)).splitlines() == [
        "a  updated",
        "    interval: 600 -> 900",
        '    kwargs: {"token": "********"} -> {"token": "********"}',
    ]
    found = json.loads(told_by("import", str(file), "--json"))
    (schedule,) = found["schedules"]
    assert (found["file"], schedule["outcome"], schedule["done"]) == (
        "schedules.json",
        "unchanged",
        False,
    )
    text = told_by("export", "--format", "json", "a")
    assert "********" in text
    assert json.loads(text)["schedules"]["a"]["interval"] == "15m"
    assert "other" in told_by("export", "--with-secrets", "--format", "json")
    assert "no schedule 'b'" in told_by("export", "b", status=1)
    assert json.loads(told_by("export", "--schema")) == schema()
    changed_by = told_by("changes", "a").splitlines()[0]
    assert "updated by cli:" in changed_by


def test_mistakes_at_a_terminal(connection: Redis, told_by: Any, tmp_path: Path) -> None:
    file = tmp_path / "schedules.json"
    file.write_text(a_file(interval="often"))
    lines = told_by("import", str(file), status=1).splitlines()
    assert re.match(rf"{re.escape(str(file))}:1:\d+: a: interval must be", lines[0])
    assert lines[1] == "Nothing was written"
    (mistake,) = json.loads(told_by("import", str(file), "--json", status=1))["mistakes"]
    assert (mistake["line"], mistake["id"]) == (1, "a")
    assert "No such file" in told_by("import", str(tmp_path / "none"), status=2)


def test_more_than_one_is_deleted_only_if_confirmed(
    connection: Redis, told_by: Any, tmp_path: Path
) -> None:
    file = tmp_path / "schedules.json"
    content = json.loads(a_file())
    content["schedules"]["b"] = content["schedules"]["a"]
    file.write_text(json.dumps(content))
    told_by("import", str(file))
    file.write_text(json.dumps({**content, "schedules": {}}))
    assert "Delete 2 schedules?" in told_by("import", str(file), "--prune", status=2)
    assert told_by("import", str(file), "--prune", "--dry-run").splitlines() == [
        "a  would be deleted",
        "b  would be deleted",
    ]
    assert told_by("import", str(file), "--prune", "--yes") == "a  deleted\nb  deleted\n"


def test_what_cannot_be_read_is_told_and_the_others_exported(
    connection: Redis, told_by: Any
) -> None:
    take(connection, a_file())
    RedisCronJob("broken", "default", func=echo, interval=5, connection=connection).save()
    connection.hset(job_key("broken"), "interval", "often")
    text = told_by("export", "--format", "json", status=1)
    assert "not exported: broken: it cannot be read" in text
    assert '"a"' in text


def test_json_needs_no_pyyaml(connection: Redis, redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "schedules.json"
    file.write_text(a_file())
    program = (
        "import sys; sys.modules['yaml'] = None; from django_rediscron.cli import main; main()"
    )

    def run(*arguments: str) -> Any:
        command = [sys.executable, "-c", program, *arguments, "--url", redis_url]
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=ROOT,
            env=environment(),
        )

    assert run("import", str(file)).stdout == "a  created\n"
    assert json.loads(run("export", "--format", "json").stdout)["schedules"].keys() == {"a"}
    refused = run("export")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "YAML needs PyYAML: pip install 'django-rediscron[yaml]'" in refused.stderr
    file.rename(tmp_path / "schedules.yaml")
    (tmp_path / "schedules.yaml").write_text("version: 1")
    assert "YAML needs PyYAML" in run("import", str(tmp_path / "schedules.yaml")).stderr


@needs_yaml
def test_the_files_of_the_documentation_are_right() -> None:
    page = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    files = re.findall(r"```yaml\n(version: 1\n.*?)```", page, re.DOTALL)
    assert len(files) == 2
    for text in files:
        read_file(text.encode(), "schedules.yaml")

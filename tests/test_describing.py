"""Descriptions claim nothing that is not so: a reader of the sentences compares them with times.

The reader knows English, and no cron.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_rediscron.core import RedisCronJob
from django_rediscron.core.timing.cron_times import check_cron, next_cron_time

UTC = timezone.utc
DAY = 86400
SECONDS = {"second": 1, "minute": 60, "hour": 3600}
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [f"{date(2026, month, 1):%B}" for month in range(1, 13)]
NTH = ["first", "second", "third", "fourth", "fifth"]

CLOCK = r"\d\d:\d\d(?::\d\d)?"
Days = Callable[[date], bool]


def listed(item: str) -> str:
    return rf"((?:{item}, )*{item}(?: and {item})?)"


def items(text: str) -> list[str]:
    return re.split(", | and ", text)


def second_of_day(clock: str) -> int:
    hour, minute, *second = map(int, clock.split(":"))
    return hour * 3600 + minute * 60 + sum(second)


def around(first: int, last: int, whole: int) -> list[int]:
    return [(first + n) % whole for n in range((last - first) % whole + 1)]


class Reader:
    """Takes a sentence apart from its beginning; fails at what it does not know."""

    def __init__(self, sentence: str) -> None:
        self.rest = sentence

    def take(self, pattern: str) -> re.Match[str] | None:
        found = re.match(rf"{pattern}(?=, |$| and | or )", self.rest)
        if found:
            self.rest = self.rest[found.end() :]
        return found

    def times(self) -> set[int]:
        """The seconds of a day."""
        if found := self.take(rf"At {listed(CLOCK)}"):
            return {second_of_day(each) for each in items(found[1])}
        if found := self.take(rf"Every hour from ({CLOCK}) to ({CLOCK})"):
            first, last = map(second_of_day, found.groups())
            assert first % 3600 == last % 3600
            return {second for second in around(first, last, DAY) if (second - first) % 3600 == 0}
        if found := self.take(rf"At {listed(r'[0-9]+')} (second|minute)s? past the (minute|hour)"):
            unit, whole = SECONDS[found[2]], SECONDS[found[3]]
            values = [int(each) * unit for each in items(found[1])]
            found_times = {second for second in range(DAY) if second % whole in values}
        elif found := self.take(r"(Second|Minute)s (\d+) to (\d+) past the (minute|hour)"):
            unit, whole = SECONDS[found[1].lower()], SECONDS[found[4]]
            values = [n * unit for n in around(int(found[2]), int(found[3]), 60)]
            found_times = {second for second in range(DAY) if second % whole in values}
        else:
            found = self.take(r"Every (?:(\d+) )?(second|minute|hour)s?")
            assert found, self.rest
            distance, start = int(found[1] or 1) * SECONDS[found[2]], 0
            assert DAY % distance == 0, "not evenly spread"
            if begin := self.take(rf", starting at ({CLOCK})"):
                start = second_of_day(begin[1])
            elif begin := self.take(r", starting at (\d+) (second|minute)s? past the \w+"):
                start = int(begin[1]) * SECONDS[begin[2]]
            found_times = {(start + passed) % DAY for passed in range(0, DAY, distance)}
        if found := self.take(rf", between ({CLOCK}) and ({CLOCK})"):
            first, last = map(second_of_day, found.groups())
            found_times &= set(around(first, last + 59, DAY))
        return found_times


def read(sentence: str) -> tuple[set[int], Days]:
    """The seconds of the day, and the days, that a sentence claims."""
    sentence, months = read_months(sentence)
    reader = Reader(sentence)
    times = reader.times()
    claims = [read_days(part) for part in re.split(r",? or |^, ", reader.rest) if part]
    return (
        times,
        lambda day: day.month in months and (not claims or any(claim(day) for claim in claims)),
    )


def read_months(sentence: str) -> tuple[str, list[int]]:
    name = rf"(?:{'|'.join(MONTHS)})"
    if found := re.search(rf", only in {listed(name)}$", sentence):
        return sentence[: found.start()], [MONTHS.index(each) + 1 for each in items(found[1])]
    if found := re.search(rf", ({name}) to ({name})$", sentence):
        first, last = (MONTHS.index(each) for each in found.groups())
        return sentence[: found.start()], [month + 1 for month in around(first, last, 12)]
    return sentence, [*range(1, 13)]


def read_days(text: str) -> Days:
    """Days that are told of one after another: each of them is meant."""
    names = rf"(?:{'|'.join(WEEKDAYS)})"
    patterns: list[tuple[str, Callable[[re.Match[str]], Days]]] = [
        (rf"(?:only |every )?(?:on )?(?:every )?({names}) to ({names})", from_to),
        (rf"(?:only )?on (?:every )?{listed(names)}(?! of)", on_weekdays),
        (rf"on the (\w+) ({names}) of the month", on_nth),
        (r"on days? (\d+) to (\d+) of the month", days_from_to),
        (rf"on days? {listed(r'[0-9]+')} of the month", on_days),
        (r"on the last day of the month", lambda found: before_end(0)),
        (r"(\d+) days? before the last day of the month", lambda found: before_end(int(found[1]))),
        (r"on the last weekday of the month", lambda found: nearest(31)),
        (r"on the weekday nearest day (\d+) of the month", lambda found: nearest(int(found[1]))),
    ]
    claims: list[Days] = []
    while text:
        for pattern, meaning in patterns:
            if found := re.match(rf"{pattern}(?: and (?=on |\d+ day|{names} to)|$)", text):
                claims.append(meaning(found))
                text = text[found.end() :]
                break
        else:
            raise AssertionError(f"cannot be read: {text!r}")
    return lambda day: any(claim(day) for claim in claims)


def from_to(found: re.Match[str]) -> Days:
    first, last = (WEEKDAYS.index(each) for each in found.groups())
    return lambda day: day.weekday() in around(first, last, 7)


def on_weekdays(found: re.Match[str]) -> Days:
    return lambda day: WEEKDAYS[day.weekday()] in items(found[1])


def on_nth(found: re.Match[str]) -> Days:
    def matches(day: date) -> bool:
        if WEEKDAYS[day.weekday()] != found[2]:
            return False
        if found[1] == "last":
            return (day + timedelta(7)).month != day.month
        return (day.day - 1) // 7 == NTH.index(found[1])

    return matches


def days_from_to(found: re.Match[str]) -> Days:
    first, last = map(int, found.groups())
    return lambda day: day.day - 1 in around(first - 1, last - 1, 31)


def on_days(found: re.Match[str]) -> Days:
    return lambda day: str(day.day) in items(found[1])


def before_end(count: int) -> Days:
    return lambda day: (day + timedelta(count + 1)).day == 1


def nearest(wished: int) -> Days:
    def matches(day: date) -> bool:
        last = monthrange(day.year, day.month)[1]
        working = [n for n in range(1, last + 1) if day.replace(day=n).weekday() < 5]
        return day.day == min(working, key=lambda n: abs(n - min(wished, last)))

    return matches


def describe(**options: Any) -> str:
    job = RedisCronJob("id", "default", func_name="a.b", **options)
    return job.describe()


def check(expression: str, sentence: str, begin: date) -> None:
    times, days = read(sentence)
    ordered = sorted(times)
    compared = 0
    for passed in range(70):
        day = begin + timedelta(passed)
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        moment = midnight - timedelta(seconds=1)
        if not days(day):
            assert next_cron_time(expression, moment, UTC).date() != day, day
            continue
        claimed = ordered[:2] if compared else ordered[:1500]
        for second in claimed:
            moment = next_cron_time(expression, moment, UTC)
            assert moment == midnight + timedelta(seconds=second), day
        compared += 1
        if claimed == ordered:
            assert next_cron_time(expression, moment, UTC).date() != day


def fields(low: int, high: int, *more: str) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    part = st.one_of(
        value.map(str),
        st.tuples(value, value).map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.integers(1, high + 30).map("*/{}".format),
        st.sampled_from([2, 3, 4, 5, 6, 10, 12, 15, 20, 30]).map("*/{}".format),
        st.tuples(value, st.integers(1, 30)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    )
    if more:
        part |= st.sampled_from(more)
    return st.just("*") | part | st.lists(part, min_size=2, max_size=3).map(",".join)


EXPRESSIONS = st.tuples(
    st.just("0") | fields(0, 59),
    fields(0, 23),
    st.just("*") | fields(1, 31, "L", "L-3", "LW", "1W", "15W"),
    st.just("*") | fields(1, 12),
    st.just("*") | fields(0, 7, "MON-FRI", "1#1", "5#3", "5L", "MON,WED"),
    st.sampled_from(["", "", "", "0", "*", "*/10", "5,40", "10-30"]),
).map(lambda parts: " ".join(parts).strip())


@pytest.mark.slow
@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(EXPRESSIONS, st.dates(date(2026, 1, 1), date(2029, 12, 31)))
def test_what_a_description_claims_is_what_the_times_are(expression: str, begin: date) -> None:
    try:
        check_cron(expression)
    except ValueError:
        return
    sentence = describe(cron=expression)
    if sentence != expression:
        check(expression, sentence, begin)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("*/90 * * * *", "Every hour"),
        ("*/40 * * * *", "At 0 and 40 minutes past the hour"),
        ("*/7 * * * *", None),
        ("0 */5 * * *", "At 00:00, 05:00, 10:00, 15:00 and 20:00"),
        ("0 0 * */5 *", "At 00:00, only in January, June and November"),
        ("0 16 */2 * SAT", None),
        ("0 0 */3 * *", None),
        ("0 0 1-2 * 1-5", "At 00:00, on days 1 and 2 of the month, or Monday to Friday"),
        (
            "0 12 1 * 1#1",
            "At 12:00, on day 1 of the month, or on the first Monday of the month",
        ),
        (
            "0 12 15,L * *",
            "At 12:00, on day 15 of the month and on the last day of the month",
        ),
        (
            "0 8 * * 1#1,1#3",
            "At 08:00, on the first Monday of the month and on the third Monday of the month",
        ),
        ("0 8 * * 1#1,FRI", "At 08:00, on every Friday and on the first Monday of the month"),
        ("0 8 * * 0,7", "At 08:00, only on Sunday"),
        ("0 8 * * 0,6", "At 08:00, only on Saturday and Sunday"),
        ("0 8 1-31 * MON", "At 08:00"),
        ("0 9-17 * * *", "Every hour from 09:00 to 17:00"),
        ("*/15 9-17 * * *", "Every 15 minutes, between 09:00 and 17:59"),
        ("0,30 9 * * *", "At 09:00 and 09:30"),
        ("0 9 13 * FRI", "At 09:00, on day 13 of the month, or on Friday"),
        ("0 9 L-3 * *", "At 09:00, 3 days before the last day of the month"),
        ("0 9 15W 1-6 *", "At 09:00, on the weekday nearest day 15 of the month, January to June"),
        ("0 9 LW * *", "At 09:00, on the last weekday of the month"),
        ("30 */2 * * *", "Every 2 hours, starting at 00:30"),
        ("*/15 */2 * * *", None),
        ("* 22-3 * * *", "Every minute, between 22:00 and 03:59"),
        ("1/5 * * * *", "Every 5 minutes, starting at 1 minute past the hour"),
        ("*/5 * * * * 0", "Every 5 minutes"),
        ("30 9 * * * 15", "At 09:30:15"),
        ("* * * * * */10", "Every 10 seconds"),
    ],
)
def test_sentences(expression: str, words: str | None) -> None:
    sentence = describe(cron=expression)
    assert sentence == (words or expression)
    if words:
        check(expression, sentence, date(2027, 1, 1))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"interval": 1, "max_runs": 1}, "Once"),
        ({"interval": 1, "max_runs": 3}, "Every second, at most 3 times"),
        ({"cron": "0 8 * * *", "max_runs": 1, "timezone": "UTC"}, "At 08:00, once (UTC)"),
        ({"cron": "*/7 * * * *", "max_runs": 2}, "*/7 * * * *, at most 2 times"),
    ],
)
def test_what_ends_after_some_runs_says_so(options: dict[str, Any], words: str) -> None:
    assert describe(**options) == words


def test_common_expressions_have_words() -> None:
    times = ["*/5 *", "0 *", "30 9", "0 9-17", "*/10 9-17", "0 */6", "0,30 8,20"]
    dates = ["* * *", "1 * *", "L * *", "1,15 * *", "* * MON-FRI", "* * 5#1", "1 */3 *"]
    for time, rest in product(times, dates):
        assert describe(cron=f"{time} {rest}") != f"{time} {rest}"

"""The rules for Prometheus and the dashboard for Grafana in `docs/monitoring`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_rediscron import RedisCronScheduler
from django_rediscron.core.monitoring.measurements import KINDS
from tests import tasks
from tests.forks import run_python

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent.parent / "docs" / "monitoring"
RULES = (FOLDER / "rules.yml").read_text()
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())

ALERTS = re.findall(r"- alert: (\w+)", RULES)

GRAFANA = {"$__rate_interval": "5m", "$__range": "1h"}
"""What Grafana puts in place of its variables, but for those in quotes."""

Promtool = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def promtool() -> Promtool:
    """Run promtool. Where tests have to run, one that is missing is a failure."""
    program = shutil.which("promtool")
    if program is None:
        assert not os.environ.get("CI"), "promtool is missing; Debian's package is prometheus"
        pytest.skip("needs promtool, of Debian's package prometheus")

    def run(*arguments: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *map(str, arguments)],
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_prometheus_accepts_the_rules(promtool: Promtool) -> None:
    done = promtool("check", "rules", FOLDER / "rules.yml")
    assert done.returncode == 0, done.stdout
    assert f"SUCCESS: {len(ALERTS)} rules found" in done.stdout


def test_each_rule_fires_when_it_should(promtool: Promtool) -> None:
    done = promtool("test", "rules", FOLDER / "rules_test.yml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("always", [False, True], ids=["never", "always"])
def test_a_rule_that_fires_never_or_always_fails_its_test(
    always: bool, promtool: Promtool, tmp_path: Path
) -> None:
    """So each rule is tested with what makes it fire, and with what does not."""
    rules = re.sub(r"(?s)expr: .*?(?=\n        \w)", f"expr: vector(1) == {int(always)}", RULES)
    (tmp_path / "rules.yml").write_text(rules)
    (tmp_path / "rules_test.yml").write_text((FOLDER / "rules_test.yml").read_text())

    done = promtool("test", "rules", tmp_path / "rules_test.yml")

    unexpected = r"exp:\[\n? *\]" if always else r"got:\[\n? *\]"
    reports = re.split("alertname: ", done.stdout)[1:]
    missed = {each.split(",")[0] for each in reports if re.search(unexpected, each)}
    assert missed == set(ALERTS), done.stdout


def test_each_alert_says_how_bad_it_is_and_which_schedule_it_is_about() -> None:
    for name, rule in zip(ALERTS, RULES.split("- alert: ")[1:], strict=True):
        assert re.search(r"severity: (critical|warning)\n", rule), name
        assert re.search(r"summary: .*\n +description: ", rule), name
        if 'schedule!=""' in rule:
            assert rule.count("{{ $labels.schedule }}") >= 2, name


def test_rules_and_dashboard_name_metrics_that_there_are() -> None:
    named = set(re.findall(r"rediscron_\w+", RULES + json.dumps(DASHBOARD)))
    histograms = [name for name, (kind, _) in KINDS.items() if kind == "histogram"]
    parts = {f"{name}_{part}" for name in histograms for part in ("bucket", "count", "sum")}
    assert named - KINDS.keys() - parts == set()


def test_prometheus_accepts_what_the_dashboard_asks(promtool: Promtool, tmp_path: Path) -> None:
    lines = ["groups:", "- name: dashboard", "  rules:"]
    for number, (expression, _) in enumerate(expressions()):
        text = re.sub(r"\$__\w+", lambda found: GRAFANA[found[0]], expression)
        lines += [f"  - record: panel:{number}", f"    expr: {json.dumps(text)}"]
    (tmp_path / "dashboard.yml").write_text("\n".join(lines))

    done = promtool("check", "rules", tmp_path / "dashboard.yml")

    assert done.returncode == 0, done.stdout


def test_the_dashboard_can_be_imported_anywhere() -> None:
    """Its data source is chosen, and no place or number is taken twice."""
    assert DASHBOARD["schemaVersion"] == 42
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    for expression, source in expressions():
        assert source == {"type": "prometheus", "uid": "${datasource}"}
        assert set(re.findall(r"\$(?!__)(\w+)", expression)) <= variables
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [place for panel in panels for place in places(**panel["gridPos"])]
    assert len(set(taken)) == len(taken)


def expressions() -> Iterator[tuple[str, Any]]:
    """What the panels ask, and of which data source."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"], target["datasource"]


def places(x: int, y: int, w: int, h: int) -> Iterator[tuple[int, int]]:
    return ((x + right, y + down) for right in range(w) for down in range(h))


@pytest.mark.parametrize("schedules", ["1000", "0"], ids=["by schedule", "in sum"])
def test_promtool_finds_nothing_wrong_with_the_metrics(
    schedules: str, promtool: Promtool, connection: Redis, redis_url: str
) -> None:
    scheduler = RedisCronScheduler(connection)
    scheduler.register(tasks.echo, "metrics", id='"quoted" \\ é', interval=300)
    scheduler.register(tasks.fail, "metrics", id="fails", cron="*/5 * * * *")
    scheduler.register_birth()
    scheduler.enqueue_jobs()
    text = run_python(
        "-m", "django_rediscron.cli", "metrics", "--url", redis_url, "--schedules", schedules
    ).stdout
    assert 'rediscron_schedules{state="enabled",queue="metrics"} 2' in text

    done = promtool("check", "metrics", given=text)

    assert (done.returncode, done.stdout) == (0, "")

"""The parts depend on each other in one direction: core <- Django layer <- admin."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from rq.job import Job

PACKAGE = Path(__file__).parent.parent / "django_rediscron"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What has to work where Django is not installed.
WITHOUT_DJANGO = [
    path
    for path in MODULES
    if path.relative_to(PACKAGE).parts[0] in ("core", "cli", "terminal.py", "unreachable.py")
]
OPEN_TO_ALL = (
    "django_rediscron.core",
    "django_rediscron.cli",
    "django_rediscron.terminal",
    "django_rediscron.unreachable",
    "django_rediscron.__version__",
)

NO_DJANGO = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("django", "django_rq"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
"""


@pytest.mark.parametrize("path", WITHOUT_DJANGO, ids=lambda path: path.stem)
def test_the_core_and_the_command_line_import_no_django(path: Path) -> None:
    assert [name for name in imported(path) if within(name, "django", "django_rq")] == []


@pytest.mark.parametrize("path", WITHOUT_DJANGO, ids=lambda path: path.stem)
def test_the_core_and_the_command_line_import_no_django_layer(path: Path) -> None:
    allowed = OPEN_TO_ALL[:1] if path.is_relative_to(PACKAGE / "core") else OPEN_TO_ALL
    ours = {name for name in imported(path) if within(name, "django_rediscron")}
    assert [name for name in ours - {"django_rediscron"} if not within(name, *allowed)] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_imports_the_admin(path: Path) -> None:
    if not within(module_name(path), "django_rediscron.admin"):
        assert [n for n in imported(path) if within(n, "django_rediscron.admin")] == []


def test_a_schedule_runs_where_django_is_not_installed(connection: Redis, redis_url: str) -> None:
    program = f"""
from redis import Redis
import django_rediscron, django_rediscron.cli, django_rediscron.core
from tests.tasks import echo

scheduler = django_rediscron.RedisCronScheduler(Redis.from_url({redis_url!r}))
scheduler.register(echo, "metrics", id="lonely", args=("hello",), interval=300)
scheduler.start(burst=True)
assert not {{"django", "django_rq"}} & set(sys.modules)
"""
    run_without_django(program)
    (job_id,) = connection.lrange("rq:queue:metrics", 0, -1)
    assert Job.fetch(job_id.decode(), connection).args == ("hello",)


def test_the_command_line_runs_where_django_is_not_installed(
    connection: Redis, redis_url: str
) -> None:
    output = run_without_django(
        f"from django_rediscron.cli import main; main(['info', '--url', {redis_url!r}])"
    )
    assert "No scheduled jobs" in output


def test_what_needs_django_says_so_where_it_is_not_installed() -> None:
    program = """
import django_rediscron
for name in ("register", "get_scheduler"):
    try:
        getattr(django_rediscron, name)
    except ImportError as error:
        print(name, error.name)
"""
    lines = run_without_django(program).splitlines()
    assert [line.split()[0] for line in lines] == ["register", "get_scheduler"]
    assert all(within(line.split()[1], "django", "django_rq") for line in lines)


def run_without_django(program: str) -> str:
    """The standard output of a program that must succeed though Django cannot be imported."""
    done = subprocess.run(
        [sys.executable, "-c", NO_DJANGO + program],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported(path: Path) -> Iterator[str]:
    """The absolute names of all that a file imports, at its top level or within a function.

    For `from a import b` both `a` and `a.b`: the latter may be a module.
    """
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*parents, *([node.module] if node.module else [])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)

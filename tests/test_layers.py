"""The core and the command line work where Django is not installed; the page on the layout is
true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from redis import Redis
from rq.job import Job

from tests.conftest import CORE

PACKAGE = Path(__file__).parent.parent / "django_rediscron"

LONGEST_FUNCTION = 50

MOST_MODULES = 45
"""Of this package, when it is imported."""

EXAMPLE = "store/lua/name.lua"
"""A path that the page makes up."""

NO_DJANGO = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("django", "django_rq"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
"""


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


def test_a_project_starts_without_what_few_of_its_processes_need() -> None:
    """Each of them starts in this way; hardly any leads, syncs, reads files or runs tests."""
    program = """
import sys
from django.conf import settings
settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=["django.contrib.contenttypes", "django_rq", "django_rediscron"],
    RQ_QUEUES={"default": {"URL": "redis://127.0.0.1:1"}},
)
import django
django.setup()
from django_rediscron import register
own = ("core.files.reading", "core.process.leading", "core.scheduler", "sync.syncing", "testing")
others = ("_pytest", "pytest", "time_machine", "yaml")
needless = {*others, *(f"django_rediscron.{name}" for name in own)} & {*sys.modules}
assert not needless, needless
from django_rediscron.sync import SyncReport, reset, sync
"""
    subprocess.run([sys.executable, "-c", program], cwd=PACKAGE.parent, check=True)


def test_importing_the_package_loads_what_a_schedule_needs() -> None:
    """Every web server and worker imports it: what passes, tells and explains comes when asked."""
    program = "import sys, django_rediscron; print(*sys.modules)"
    loaded = {name for name in run_without_django(program).split() if within(name, PACKAGE.name)}
    own = f"{PACKAGE.name}.core."
    for floor in ("declared", "dispatch", "files", "notifying", "process", "story"):
        inside = {name for name in loaded if name.startswith(f"{own}{floor}.")}
        assert inside <= {f"{own}story.why"}, "the package that imports the rest lazily"
    assert not {f"{own}scheduler", f"{own}monitoring", f"{own}store.listing"} & loaded
    assert len(loaded) <= MOST_MODULES


def test_what_packages_offer_can_be_imported_from_them() -> None:
    for path in [PACKAGE / "__init__.py", *(PACKAGE / "core").rglob("__init__.py")]:
        package = import_module(".".join(path.relative_to(PACKAGE.parent).parent.parts))
        names = getattr(package, "__all__", ())
        assert set(names) <= set(dir(package))
        assert all(getattr(package, name) is not None for name in names)
        with pytest.raises(AttributeError, match=f"{package.__name__}.*no_such_name"):
            package.no_such_name  # noqa: B018


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


def test_what_is_marked_as_core_uses_no_django() -> None:
    """Nor the fixtures that prepare it, nor its commands."""
    django = r"(from|import) django(_rq)?[. ]|\b(starting|rq_queues): None|manage\(|rqcron_"
    for name in CORE:
        found = re.search(django, (PACKAGE.parent / "tests" / name).read_text())
        assert found is None, f"{name} is in CORE of tests/conftest.py, and has {found[0]}"


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_the_architecture_page_names_every_module_and_script() -> None:
    """What it names exists, and what exists is named, also after files were moved."""
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`([\w/]+(?:\.py|\.lua)?)`", page))
    files = [
        path
        for kind in ("*.py", "*.lua")
        for path in PACKAGE.rglob(kind)
        if not path.stem.startswith("_") and path.parent.name != "migrations"
    ]
    words = {name.rpartition("/")[2] for name in named}
    assert [str(path) for path in files if not {path.name, path.stem} & words] == []
    places = [f"/{path.relative_to(PACKAGE.parent)}" for path in PACKAGE.parent.rglob("*.py")]
    places += [f"/{path.relative_to(PACKAGE.parent)}" for path in files]
    code = {name for name in named if name.endswith((".py", ".lua")) and name != EXAMPLE}
    assert [name for name in code if not any(p.endswith(f"/{name}") for p in places)] == []


def test_no_function_is_long() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                length = node.end_lineno - node.lineno + 1
                assert length <= LONGEST_FUNCTION, f"{path}: {node.name}, {length} lines"

"""Wheel and sdist hold everything; the wheel runs where nothing else is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "django_rediscron"
NEEDED_TO_BUILD = ["setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"]
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", ".*")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves files behind, and would pick up older ones."""
    directory = tmp_path_factory.mktemp("build")
    source = copy_source(directory)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", directory, source)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel and what it depends on."""
    directory = tmp_path_factory.mktemp("empty")
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    run(python, "-m", "pip", "install", wheel)
    return python


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == files_of_the_package()


def test_the_sdist_holds_every_file_of_the_package(python: Path, tmp_path: Path) -> None:
    source = copy_source(tmp_path)
    run(python, "-m", "pip", "install", "setuptools>=77")
    build = "from setuptools.build_meta import build_sdist; build_sdist(sys.argv[2])"
    run(python, "-c", f"import os, sys; os.chdir(sys.argv[1]); {build}", source, tmp_path)
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        paths = [member.name.partition("/")[2] for member in archive if member.isfile()]
    packed = {path for path in paths if path.startswith("django_rediscron/")}
    assert packed == files_of_the_package()


def test_the_version_is_the_one_of_the_package(python: Path) -> None:
    code = (
        "import django_rediscron, importlib.metadata as m;"
        "print(django_rediscron.__version__, m.version('django-rediscron'))"
    )
    imported, installed = run(python, "-c", code).split()
    assert imported == installed


def test_it_imports_without_settings(python: Path) -> None:
    where = run(python, "-c", "import django_rediscron; print(django_rediscron.__file__)")
    assert Path(where.strip()).is_relative_to(python.parent.parent)


def test_its_command_runs(python: Path) -> None:
    assert "info" in run(python.with_name("rqrcron"), "--help")


def test_a_site_with_nothing_but_its_app_passes_the_checks(python: Path, tmp_path: Path) -> None:
    settings = tmp_path / "fresh_settings.py"
    settings.write_text(
        "SECRET_KEY = 'x'\n"
        "INSTALLED_APPS = ['django.contrib.contenttypes', 'django_rq', 'django_rediscron']\n"
        "RQ_QUEUES = {'default': {'URL': 'redis://127.0.0.1:6379/0'}}\n"
    )
    django = [python, "-m", "django"]
    options = ["--settings", settings.stem, "--pythonpath", tmp_path]
    assert "no issues" in run(*django, "check", *options)
    assert "--lock-ttl" in run(*django, "rqcron_scheduler", "--help", *options)


def copy_source(directory: Path) -> Path:
    """What a build needs, without what earlier ones left behind."""
    source = directory / "source"
    shutil.copytree(PACKAGE, source / PACKAGE.name, ignore=LEFT_BEHIND)
    for name in NEEDED_TO_BUILD:
        shutil.copy(ROOT / name, source)
    return source


def files_of_the_package() -> set[str]:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and not is_left_behind(path)
    }
    assert {"django_rediscron/py.typed", "django_rediscron/core/store/lua/save.lua"} <= found
    return found


def is_left_behind(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return any(part == "__pycache__" or part.startswith(".") for part in parts)


def run(*command: str | Path) -> str:
    """The standard output of a command that must succeed, run outside of the checkout."""
    done = subprocess.run(
        list(map(str, command)), cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout

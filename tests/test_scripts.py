"""The Lua scripts as files: what they include, what they say of themselves, what luacheck finds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from django_rediscron.core.store.scripts import FOLDER, INCLUDES, Script

from .scripts import all_scripts, replace

ROOT = Path(__file__).parent.parent
LONGEST_FUNCTION = 50
LUACHECK = shutil.which("luacheck")


SCRIPTS = all_scripts()
FILES = sorted(FOLDER.rglob("*.lua"))

each_script = pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
each_file = pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])


def test_each_file_is_used_by_somebody() -> None:
    assert {path.stem for path in FOLDER.glob("*.lua")} == set(SCRIPTS)
    included = {name for path in FILES for name in re.findall("-- include: (.*)", path.read_text())}
    assert {path.stem for path in FOLDER.glob("includes/*.lua")} == included
    assert set(INCLUDES) <= included


@each_script
def test_a_script_says_what_it_takes_and_returns(script: Script) -> None:
    text = (FOLDER / f"{script.name}.lua").read_text()
    head = re.match(r"(?:--.*\n)+", text)
    assert head, "it begins with a comment that says what it does"
    for what in ("KEYS", "ARGV", "Returns"):
        assert re.search(rf"^-- {what}\b", head[0], re.MULTILINE), f"it does not say: {what}"


@each_script
def test_redis_takes_it(script: Script, connection: Redis) -> None:
    assert connection.script_load(script.text)


@each_script
def test_luacheck_finds_nothing(script: Script, tmp_path: Path) -> None:
    """As it is loaded, so that a constant that is missing or superfluous is found, too."""
    if LUACHECK is None:
        assert not os.environ.get("CI"), "luacheck is missing; Debian's package is lua-check"
        pytest.skip("needs luacheck, of Debian's package lua-check")
    path = tmp_path / f"{script.name}.lua"
    path.write_text(script.text)
    command = [LUACHECK, "--config", ROOT / ".luacheckrc", "--codes", "--no-color", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@each_file
def test_no_function_is_long(path: Path) -> None:
    lines = path.read_text().splitlines()
    for first, line in enumerate(lines):
        begun = re.match(r"( *)(local function|function|.*= function)\b", line)
        if begun and not re.search(r"\bend\b", line):
            length = lines[first:].index(f"{begun[1]}end") + 1
            assert length <= LONGEST_FUNCTION, f"line {first + 1}: {length} lines"


# How files are put together


def load(folder: Path, **files: str) -> str:
    """The text of the script `main`, with these files; the names of includes begin with `i_`."""
    (folder / "includes").mkdir(exist_ok=True)
    for name, text in files.items():
        parent = folder / "includes" if name.startswith("i_") else folder
        (parent / f"{name}.lua").write_text(text)
    return Script("main", folder).text


def test_an_include_stands_where_it_is_asked_for(tmp_path: Path) -> None:
    text = load(tmp_path, main="one()\n-- include: i_two\nthree()\n", i_two="two()\n")
    assert text == "one()\ntwo()\nthree()\n"


def test_what_is_included_twice_is_loaded_once(tmp_path: Path) -> None:
    text = load(
        tmp_path,
        main="-- include: i_one\n-- include: i_two\n-- include: i_one\n",
        i_one="one()\n",
        i_two="-- include: i_one\ntwo()\n",
    )
    assert text.split() == ["one()", "two()"]


def test_who_asks_while_it_is_put_together_gets_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another thread may."""
    files = {"main": "-- include: i_one\n-- include: i_two\n", "i_one": "one()", "i_two": "two()"}
    expected = load(tmp_path, **files)
    script, read_text, others = Script("main", tmp_path), Path.read_text, list[str]()

    def read(path: Path, **options: Any) -> str:
        if path.stem == "i_two" and not others:
            others.append("")
            others[0] = script.text
        return read_text(path, **options)

    monkeypatch.setattr(Path, "read_text", read)
    assert [script.text, *others] == [expected, expected]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"i_one includes 'i_two', but there is no .*i_two\.lua"):
        load(tmp_path, main="-- include: i_one\n", i_one="-- include: i_two\n")


def test_a_circle_is_named(tmp_path: Path) -> None:
    files = {"i_one": "-- include: i_two\n", "i_two": "-- include: i_one\n"}
    with pytest.raises(ValueError, match=r"circular include: main > i_one > i_two > i_one"):
        load(tmp_path, main="-- include: i_one\n", **files)


def test_constants_arrive_as_they_are(connection: Redis, tmp_path: Path) -> None:
    text = 'it\'s a \\ in\n"lines" of 中文\0 1'
    (tmp_path / "main.lua").write_text("return {TEXT, NUMBER, unpack(TEXTS)}\n")
    script = Script("main", tmp_path, TEXT=text, NUMBER=2**31, TEXTS=("a", text))
    assert connection.eval(script.text, 0) == [text.encode(), 2**31, b"a", text.encode()]


def test_nothing_is_read_before_it_is_needed() -> None:
    """An import of the package reads no scripts."""
    code = (
        "import sys, pathlib\n"
        "sys.addaudithook(lambda event, args: event == 'open' and str(args[0]).endswith('.lua')"
        " and sys.exit(f'{args[0]} was read'))\n"
        "import django_rediscron.core, django_rediscron.cli\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_change_that_does_not_apply_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no test of a protection passes without having taken it out."""
    with pytest.raises(AssertionError, match="due does not hold this once: no such words"):
        replace("due", [("no such words", "")], monkeypatch.setattr)

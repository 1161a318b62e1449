"""The style sheets fit languages that are written from right to left."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import django_rediscron

STATIC = Path(django_rediscron.__file__).parent / "static" / "django_rediscron"
PHYSICAL = re.compile(
    r"(?:margin|padding|border)-(?:left|right)|\b(?:top|bottom)-(?:left|right)-radius"
    r"|(?:text-align|float|clear): *(?:left|right)|^ *(?:left|right):",
    re.MULTILINE,
)
SIDES = re.compile(r"(?:margin|padding|inset|border-width): *\S+ +(\S+) +\S+ +(\S+?);")


@pytest.mark.parametrize("sheet", sorted(STATIC.glob("*.css")), ids=lambda path: path.name)
def test_start_and_end_take_the_place_of_left_and_right(sheet: Path) -> None:
    text = sheet.read_text()
    assert PHYSICAL.findall(text) == []
    assert [each for each in SIDES.findall(text) if each[0] != each[1]] == []

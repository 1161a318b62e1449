"""YAML as nodes, and values as YAML. Only here PyYAML is needed.

What a word means follows YAML 1.2 and JSON: `no`, `010`, `1:30` and `2026-06-03` are texts. Nothing
is constructed but texts, numbers, booleans, null, lists and mappings.
"""

from __future__ import annotations

import re
from typing import Any

from ..quoting import quoted
from .nodes import Node, Place, place_in, wrong

yaml: Any
try:
    import yaml
except ImportError:
    yaml = None

REMEDY = "YAML needs PyYAML: pip install 'django-rediscron[yaml]', or use JSON"

_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_KINDS = (
    ("null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")),
    (
        "float",
        re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$"),
        list("-+.0123456789"),
    ),
)
_TAG = "tag:yaml.org,2002:"


def _resolve_as_here(kind: Any) -> Any:
    for name, pattern, first in _KINDS:
        kind.add_implicit_resolver(_TAG + name, pattern, first)
    return kind


_BREAKS = re.compile("[\n\r\x85\u2028\u2029\ufeff]")

_loader: Any = None
_dumper: Any = None
if yaml is not None:

    class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as PyYAML has it

    class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
        """Quotes what is no text to us, or to other readers of YAML."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def _represent_text(dumper: Any, text: str) -> Any:
        # In single quotes, readers take some line breaks for others.
        style = '"' if _BREAKS.search(text) else None
        return dumper.represent_scalar(f"{_TAG}str", text, style=style)

    _loader, _dumper = _resolve_as_here(_Loader), _resolve_as_here(_Dumper)
    _dumper.add_representer(str, _represent_text)


def yaml_text(value: Any) -> str:
    """The value as YAML; the same text for the same value."""
    if yaml is None:
        raise ValueError(REMEDY)
    text: str = yaml.dump(
        value,
        Dumper=_dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=float("inf"),
    )
    return text


def yaml_node(text: str) -> Node:
    """The value of a text. Raises `WrongFileError`, and ValueError if there is no PyYAML."""
    if yaml is None:
        raise ValueError(REMEDY)
    unprintable = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if unprintable:
        what = f"the character {quoted(unprintable[0])} must be escaped in a text in double quotes"
        raise wrong(what, place_in(text, unprintable.start()))
    loader = _loader(text)
    try:
        found = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        place = _place(error.problem_mark or error.context_mark)
        told = [error.context, error.problem, _remedy(text, place)]
        raise wrong(", ".join(part for part in told if part), place) from None
    finally:
        loader.dispose()
    return Node(None, Place(1, 1)) if found is None else _node(found, set())


def _remedy(text: str, place: Place) -> str:
    """What to do about characters that YAML reserves, of which its messages do not name the one."""
    lines = text.splitlines()
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    before, here = line[: place.column - 1].rstrip(), line[place.column - 1 : place.column]
    if here == "\t":
        return "which is a tab; indent with spaces"
    if (here and here in "@`%") or before.endswith(("*", "&")):  # as in cron: * * * * *
        return "write a text that begins like this in quotes"
    return ""


def _place(mark: Any) -> Place:
    return Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)


def _node(found: Any, seen: set[int]) -> Node:
    place, kind = _place(found.start_mark), found.tag.removeprefix(_TAG)
    if id(found) in seen:
        raise wrong("anchors and aliases are not supported; write the value again", place)
    seen.add(id(found))
    if kind == "map":
        return Node(_mapping(found, seen), place)
    if kind == "seq":
        return Node([_node(each, seen) for each in found.value], place)
    if kind == "str" and isinstance(found.value, str):
        return Node(found.value, place)
    return Node(_scalar(found, kind, place), place)


def _mapping(found: Any, seen: set[int]) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for key_node, value_node in found.value:
        key, place = _node(key_node, seen)
        if not isinstance(key, str):
            shown = quoted(key_node.value) if isinstance(key_node.value, str) else "a list"
            raise wrong(f"keys must be texts, got {shown}; write it in quotes", place)
        if key in pairs:
            raise wrong(f"the key {quoted(key)} stands twice", place)
        pairs[key] = (place, _node(value_node, seen))
    return pairs


def _scalar(found: Any, kind: str, place: Place) -> Any:
    text = found.value
    pattern = next((pattern for name, pattern, _ in _KINDS if name == kind), None)
    if pattern is None or not isinstance(text, str) or not pattern.match(text):
        tag = found.tag if pattern is None else f"!!{kind}"
        raise wrong(f"the tag {quoted(tag)} is not supported; leave it out", place)
    if kind in ("null", "bool"):
        return _WORDS[text.lower()]
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError:  # Python refuses thousands of digits
        raise wrong("the number has too many digits", place) from None

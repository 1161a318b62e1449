"""Metrics as the texts that Prometheus reads.

https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://prometheus.io/docs/specs/om/open_metrics_spec/. prometheus_client writes them too, but
takes ten times as long for each sample, and there are some for each schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""Content types."""

UNIT = "seconds"
"""The only unit; names of metrics that have it say so."""

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

Label = tuple[str, str]
"""Name and value."""

Sample = tuple[str, tuple[Label, ...], float]
"""Name, labels, value."""


@dataclass
class Family:
    """A metric with all its samples. `kind`: gauge, counter or histogram; `help`: one sentence."""

    name: str
    kind: str
    help: str
    samples: list[Sample] = field(default_factory=list)

    def add(self, value: float, labels: tuple[Label, ...] = ()) -> None:
        """A sample of a gauge or counter."""
        self.samples.append((self.name, labels, value))

    def add_histogram(
        self, buckets: Iterable[tuple[str, int]], total: float, labels: tuple[Label, ...] = ()
    ) -> None:
        """`buckets`: how many took at most so long, cumulative; `total`: the sum of all."""
        number, name = 0, f"{self.name}_bucket"
        for bound, number in buckets:
            self.samples.append((name, (*labels, ("le", bound)), number))
        self.samples.append((f"{self.name}_count", labels, number))
        self.samples.append((f"{self.name}_sum", labels, total))

    @property
    def unit(self) -> str:
        """Its unit; empty if it counts things."""
        return UNIT if self.name.endswith(f"_{UNIT}") else ""

    @property
    def stem(self) -> str:
        """The name without the ending of counters, as OpenMetrics calls it."""
        return self.name.removesuffix("_total")


def negotiate(accepted: str) -> tuple[Callable[[Iterable[Family]], str], str]:
    """What writes the format that a scraper accepts, and its content type.

    `accepted`: the header Accept. It is OpenMetrics where that is named in a version since 1.0.
    """
    for each in accepted.split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        given = dict(part.partition("=")[::2] for part in parameters)
        is_known = given.get("version", "1").partition(".")[0] not in ("", "0")
        if kind == OPENMETRICS.partition(";")[0] and is_known:
            return openmetrics, OPENMETRICS
    return text, TEXT


def text(families: Iterable[Family]) -> str:
    """Prometheus's text format."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n")
        lines += _lines(family.samples)
    return "".join(lines)


def openmetrics(families: Iterable[Family]) -> str:
    """OpenMetrics 1.0."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# HELP {family.stem} {family.help}\n# TYPE {family.stem} {family.kind}\n")
        if family.unit:
            lines.append(f"# UNIT {family.stem} {family.unit}\n")
        lines += _lines(family.samples)
    return "".join([*lines, "# EOF\n"])


class _Written(dict[Label, str]):
    """Labels as they are written. Most of them stand in many samples."""

    def __missing__(self, label: Label) -> str:
        name, value = label
        written = self[label] = f'{name}="{value.translate(_ESCAPES)}"'
        return written


def _lines(samples: Iterable[Sample]) -> list[str]:
    written = _Written()
    return [
        f"{name}{{{','.join([written[label] for label in labels])}}} {value!r}\n"
        if labels
        else f"{name} {value!r}\n"
        for name, labels, value in samples
    ]

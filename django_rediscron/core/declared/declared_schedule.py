"""A schedule as code declares it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

from ..schedule import codec
from ..schedule.origin import CODE, Origin, dump_declared, without_defaults
from ..schedule.record import Record
from ..store.keys import ORIGIN_FIELDS
from ..store.reading import Fields


@dataclass
class DeclaredSchedule:
    """A schedule as code declares it."""

    job: Record
    application: str
    place: str
    locked: bool = False
    orphaned_at_text: str = ""
    """Empty if it is still declared."""

    @cached_property
    def definition(self) -> dict[str, str]:
        """Its fields, `enabled` among them."""
        return {**self.job.definition(), "enabled": str(int(self.job.enabled))}

    @cached_property
    def origin(self) -> Origin:
        return Origin(
            self.application,
            self.place,
            dump_declared(without_defaults(self.definition)),
            self.locked,
            self.orphaned_at_text,
        )

    @cached_property
    def fields(self) -> dict[str, str]:
        """The hash fields, if nothing was overridden."""
        told = without_defaults(self.definition)
        fields = {
            **told,
            "source": CODE,
            "application": self.application,
            "place": self.place,
            "declared": dump_declared(told),
        }
        fields.pop("enabled", None)
        if self.locked:
            fields.update(locked="1", enabled=self.definition["enabled"])
        return fields

    @cached_property
    def absent(self) -> frozenset[str]:
        """The fields that the hash does not have then."""
        return _all_but(tuple(self.fields))

    def is_met_by(self, fields: Fields) -> bool:
        """Whether a hash is as declared: a check of a microsecond, because almost all are."""
        return self.fields.items() <= fields.items() and self.absent.isdisjoint(fields)


@cache  # most schedules have the same fields
def _all_but(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset({*codec.EDITABLE_FIELDS, *ORIGIN_FIELDS} - {*names, "enabled"})

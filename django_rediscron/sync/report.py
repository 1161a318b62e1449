"""What a sync of the declared schedules did, or would do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..core.quoting import LONGEST_MESSAGE, cut, quoted
from ..core.schedule.origin import Differences, describe
from ..core.sensitive import mask_changes
from ..terminal import one_line

Changes = Differences
"""Field -> what Redis said, what it says now."""


@dataclass
class SyncReport:
    """Ids of schedules by what became of them, or with `check` what would become of them."""

    check: bool = False
    created: list[str] = field(default_factory=list)
    updated: dict[str, Changes] = field(default_factory=dict)
    """What could not be read has one change, of the field `damaged`: the reason, to ''. Beside the
    fields of the definition stand `source`, `application`, `locked`, `orphaned_at`, and
    `declared interval` and so on for what the code says newly of a field that keeps its value."""
    unchanged: int = 0
    overridden: dict[str, Differences] = field(default_factory=dict)
    """What somebody changed, and stays so: field -> what Redis says, what the code says."""
    orphaned: list[str] = field(default_factory=list)
    """No longer declared since this sync."""
    orphans: list[str] = field(default_factory=list)
    """No longer declared, and still there."""
    disabled: list[str] = field(default_factory=list)
    """Orphans that this sync disabled."""
    pruned: list[str] = field(default_factory=list)
    """Orphans that this sync deleted."""
    deleted: list[str] = field(default_factory=list)
    """Deleted by hand, and not created again."""
    failed: dict[str, str] = field(default_factory=dict)
    """Left as they were, and why."""
    elsewhere: list[str] = field(default_factory=list)
    """Left alone, because their queue lives on another Redis than was asked for."""
    moved: list[str] = field(default_factory=list)
    """Those of the orphans, disabled and pruned that are declared on another Redis now."""
    not_synced: list[str] = field(default_factory=list)
    """Why a Redis could not be used, on which schedules are declared."""
    unreachable: list[str] = field(default_factory=list)
    """Why a Redis was not searched for orphans, on which nothing is declared."""

    @property
    def differs(self) -> bool:
        """Whether Redis said anything else than it should, or may have: see `incomplete`."""
        changed = self.created, self.updated, self.orphaned, self.disabled, self.pruned
        return any(changed) or self.incomplete

    @property
    def incomplete(self) -> bool:
        """Whether something that is declared could not be written, or not be compared."""
        return bool(self.failed or self.not_synced)

    def fail(self, id: str, error: Exception, place: str) -> None:
        """A declaration that cannot be written, and why."""
        # What we refuse is a ValueError with a text for people; of anything else, what it was.
        known = isinstance(error, ValueError)
        reason = cut(error) if known else quoted(error, LONGEST_MESSAGE)
        self.failed[id] = f"{reason} (declared at {place})"

    def why_orphan(self, id: str) -> str:
        """For people: why this application's schedule is none of its declarations."""
        return "declared on another Redis now" if id in self.moved else "no longer declared"

    def lines(self) -> Iterator[str]:
        """For people: a line for each schedule that is worth one, and the totals."""
        create, update = ("create", "update") if self.check else ("created", "updated")
        for id in self.created:
            yield f"{create}  {one_line(id)}"
        for id, changes in self.updated.items():
            yield f"{update}  {one_line(id)}: {_changes(changes)}"
        for id, overrides in self.overridden.items():
            yield f"kept  {one_line(id)}: {one_line(describe(overrides))}"
        for id in self.deleted:
            yield f"kept  {one_line(id)}: deleted by hand (--reset creates it again)"
        flagged, disabled = set(self.orphaned), set(self.disabled)
        for id in self.orphans:
            if id in disabled:
                verb = "disable" if self.check else "disabled"
            elif id in flagged:
                verb = "orphan" if self.check else "orphaned"
            else:
                verb = "kept"  # as it was: a check does not fail for it
            orphan = "an orphan, " if verb == "kept" else ""
            yield f"{verb}  {one_line(id)}: {orphan}{self.why_orphan(id)}"
        for id in self.pruned:
            yield f"{'delete' if self.check else 'deleted'}  {one_line(id)}: {self.why_orphan(id)}"
        for id, reason in self.failed.items():
            yield f"failed  {one_line(id)}: {one_line(reason)}"
        yield self.totals()

    def totals(self) -> str:
        """How many of each, of the rarer outcomes where there are any."""
        counts = [
            (len(self.created), "to create" if self.check else "created"),
            (len(self.updated), "to update" if self.check else "updated"),
            (self.unchanged, "unchanged"),
        ]
        rarer = [
            (len(self.overridden), "overridden"),
            (len(self.deleted), "deleted by hand"),
            (len(self.orphans), "orphans" if len(self.orphans) > 1 else "orphan"),
            (len(self.disabled), "to disable" if self.check else "disabled"),
            (len(self.pruned), "to delete" if self.check else "deleted"),
            (len(self.failed), "failed"),
        ]
        parts = [*counts, *((count, word) for count, word in rarer if count)]
        return ", ".join(f"{count} {word}" for count, word in parts)

    def to_dict(self) -> dict[str, Any]:
        """For programs, in types that JSON has."""

        def pairs(changes: dict[str, Changes], old: str, new: str) -> dict[str, Any]:
            return {
                id: {name: {old: a, new: b} for name, (a, b) in mask_changes(each).items()}
                for id, each in changes.items()
            }

        return {
            "check": self.check,
            "differs": self.differs,
            "incomplete": self.incomplete,
            "created": self.created,
            "updated": pairs(self.updated, "old", "new"),
            "unchanged": self.unchanged,
            "overridden": pairs(self.overridden, "value", "code"),
            "orphaned": self.orphaned,
            "orphans": self.orphans,
            "disabled": self.disabled,
            "pruned": self.pruned,
            "moved": self.moved,
            "deleted": self.deleted,
            "failed": self.failed,
            "not_synced": self.not_synced,
            "unreachable": self.unreachable,
        }


def _changes(changes: Changes) -> str:
    return one_line(
        ", ".join(
            f"was damaged ({old})"
            if field == "damaged"
            else f"{field} {old or 'none'} -> {new or 'none'}"
            for field, (old, new) in mask_changes(changes).items()
        )
    )

"""The Lua scripts: what Redis does in one step.

Redis runs a script alone and whole, so each of these is one transaction. A refusal of writes
(out of memory, read-only, no replicas) comes with the first write, before anything is changed;
therefore no script may write before it has read and judged all that it needs.
"""

from .creation import CREATE
from .deletion import DELETE
from .jobs import ENDED
from .leader import REPLACE_LOCK
from .origin import DECLARED, GUARDED_FIELDS, TOMBSTONES
from .passes import DISPATCH, DUE
from .probe import PROBE
from .run import run_script, run_scripts
from .save import SAVE
from .schedules import PLACE, PRUNE, READ
from .search import CENSUS, SEARCH

__all__ = [
    "CENSUS",
    "CREATE",
    "DECLARED",
    "DELETE",
    "DISPATCH",
    "DUE",
    "ENDED",
    "GUARDED_FIELDS",
    "PLACE",
    "PROBE",
    "PRUNE",
    "READ",
    "REPLACE_LOCK",
    "SAVE",
    "SEARCH",
    "TOMBSTONES",
    "run_script",
    "run_scripts",
]

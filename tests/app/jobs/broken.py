"""A module that cannot be imported, as there is one in many projects."""

raise RuntimeError("no such thing")

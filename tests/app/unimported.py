"""A module that nothing imports."""


def function() -> None: ...

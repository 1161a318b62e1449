"""A module that raises what is no Exception."""

raise GeneratorExit("gave up on import")

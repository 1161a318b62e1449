"""A module that raises what else comes from Ctrl-C."""

raise KeyboardInterrupt

"""The tests' project with each theme, in a process of its own."""

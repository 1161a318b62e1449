"""Runs for occurrences of the past, one for each of a span."""

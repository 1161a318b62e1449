"""A package of functions."""

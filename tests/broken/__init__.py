"""Modules that misbehave when a schedule's function is looked up in them."""

"""Schedules in files: written, read, and taken over into Redis."""

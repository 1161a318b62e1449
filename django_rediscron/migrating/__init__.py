"""Schedules of other systems, read so that they can be written as ours."""

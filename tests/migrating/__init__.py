"""Schedules of other systems become ours: tried with what their packages really write."""

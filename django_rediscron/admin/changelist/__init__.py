"""The list of schedules."""

"""How due schedules become RQ jobs."""

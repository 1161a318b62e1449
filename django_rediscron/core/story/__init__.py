"""What happened to schedules and their runs, and why."""

"""A running scheduler process: its lock, how it leads or stands by, signals and outages."""

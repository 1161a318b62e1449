"""A running scheduler process: its lock, its signals, its outages."""

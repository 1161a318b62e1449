"""What happened to many schedules in a span of time, and what is to come; read only."""

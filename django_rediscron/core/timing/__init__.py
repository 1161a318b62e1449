"""When schedules run: cron expressions, intervals, time zones."""

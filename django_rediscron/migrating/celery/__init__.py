"""Schedules of Celery's beat, in the configuration of an app or in tables of Django."""

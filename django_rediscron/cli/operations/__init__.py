"""Verbs that change something: what is done to many schedules, and to what they all share."""

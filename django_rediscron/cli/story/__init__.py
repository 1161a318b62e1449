"""Verbs that tell what ran and what did not, who changed what, and what is to come."""

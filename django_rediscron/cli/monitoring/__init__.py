"""Verbs for probes and for Prometheus."""

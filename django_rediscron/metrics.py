"""Metrics for a registry of prometheus_client, which is in the extra `metrics`."""

from .core.monitoring.metrics import Collector

__all__ = ["Collector"]

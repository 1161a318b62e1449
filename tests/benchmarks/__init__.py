"""Speed against what RQ users have today: `python -m tests.benchmarks`."""

"""Whether schedulers do their work; only reads."""

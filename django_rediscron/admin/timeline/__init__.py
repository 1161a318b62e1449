"""The timeline: what ran in a span of time, and what is to run."""

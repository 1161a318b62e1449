"""What a schedule did, and what can be done with it besides changing it."""

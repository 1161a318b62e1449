"""What a schedule says, and whether it may say so; nothing here talks to Redis."""

"""The form of a schedule, and the pages on which it is shown."""

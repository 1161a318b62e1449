"""The options of a schedule as form fields: each with its label, help, check and group."""

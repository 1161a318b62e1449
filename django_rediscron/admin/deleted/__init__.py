"""The pages of schedules that were deleted."""

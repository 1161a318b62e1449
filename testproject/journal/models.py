"""What the tasks write."""

from __future__ import annotations

from django.db import models


class Entry(models.Model):
    """One line of the journal."""

    written_at = models.DateTimeField(auto_now_add=True, db_index=True)
    queue = models.CharField(max_length=100, blank=True)
    text = models.CharField(max_length=200)

    class Meta:
        ordering = ("-written_at", "-pk")
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return self.text

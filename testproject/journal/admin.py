"""The journal in the admin."""

from __future__ import annotations

from django.contrib import admin

from .models import Entry


@admin.register(Entry)
class EntryAdmin(admin.ModelAdmin):
    list_display = ("written_at", "queue", "text")
    list_filter = ("queue",)
    search_fields = ("text",)

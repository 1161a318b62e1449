from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Entry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("written_at", models.DateTimeField(auto_now_add=True, db_index=True)),
                ("queue", models.CharField(blank=True, max_length=100)),
                ("text", models.CharField(max_length=200)),
            ],
            options={"verbose_name_plural": "entries", "ordering": ("-written_at", "-pk")},
        ),
    ]

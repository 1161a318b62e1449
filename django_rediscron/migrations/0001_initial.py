from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Schedule",
            fields=[
                (
                    "id",
                    models.CharField(
                        max_length=255, primary_key=True, serialize=False, verbose_name="id"
                    ),
                ),
                ("func_name", models.CharField(max_length=500, verbose_name="function")),
                ("queue_name", models.CharField(max_length=255, verbose_name="queue")),
                (
                    "interval",
                    models.PositiveBigIntegerField(blank=True, null=True, verbose_name="interval"),
                ),
                (
                    "cron",
                    models.CharField(blank=True, max_length=255, verbose_name="cron expression"),
                ),
                (
                    "timezone",
                    models.CharField(blank=True, max_length=255, verbose_name="time zone"),
                ),
                ("enabled", models.BooleanField(default=True, verbose_name="enabled")),
                ("description", models.TextField(blank=True, verbose_name="description")),
                ("tags", models.TextField(blank=True, verbose_name="tags")),
                ("source", models.CharField(editable=False, max_length=20, verbose_name="source")),
                (
                    "application",
                    models.CharField(editable=False, max_length=255, verbose_name="application"),
                ),
                (
                    "next_enqueue_time",
                    models.DateTimeField(editable=False, null=True, verbose_name="next run"),
                ),
                (
                    "latest_enqueue_time",
                    models.DateTimeField(editable=False, null=True, verbose_name="last run"),
                ),
                (
                    "created_at",
                    models.DateTimeField(editable=False, null=True, verbose_name="created at"),
                ),
                (
                    "updated_at",
                    models.DateTimeField(editable=False, null=True, verbose_name="updated at"),
                ),
            ],
            options={
                "verbose_name": "schedule",
                "verbose_name_plural": "schedules",
                "permissions": (("run_schedule", "Can run schedule now"),),
                "managed": False,
                "base_manager_name": "objects",
            },
        ),
    ]

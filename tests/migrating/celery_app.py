"""An app of Celery with all kinds of tasks and periodic tasks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from celery import Celery, Task, shared_task
from celery.beat import BeatLazyFunc
from celery.schedules import crontab

app = Celery("project", broker="memory://", backend="cache+memory://")


@app.on_after_finalize.connect  # type: ignore[untyped-decorator]
def _add(sender: Any, **kwargs: Any) -> None:
    sender.add_periodic_task(crontab(minute="*/5"), send.s("added"), name="added")


class Loud(Task):  # type: ignore[misc]
    """A task as a class."""

    name = "loud"

    def run(self, text: str) -> str:
        return text.upper()

    def on_failure(self, *args: Any) -> None:
        """Cry."""


@shared_task
def send(*args: Any, **kwargs: Any) -> Any:
    """Return what it was called with."""
    return [list(args), kwargs]


@app.task(name="reports", queue="reports", time_limit=600, autoretry_for=(OSError,), max_retries=5)
def build(day: str) -> str:
    """Return the day."""
    return day


@app.task(bind=True)
def bound(self: Any) -> Any:
    """Return its own id."""
    return self.request.id


@app.task(base=Loud, name="hooked")
def hooked() -> str:
    """Return a text."""
    return "called"


def _nested() -> Any:
    @app.task(name="nested")
    def nested() -> None:
        pass

    return nested


app.conf.update(
    timezone="Europe/Berlin",
    task_routes={"tests.migrating.celery_app.send": {"queue": "reports"}},
    beat_schedule={
        "daily": {
            "task": "reports",
            "schedule": crontab(minute=30, hour=4, day_of_week="mon-fri"),
            "args": ("today",),
            "options": {"expires": 3600, "priority": 5, "headers": {"a": 1}},
        },
        "every ninety seconds": {
            "task": "tests.migrating.celery_app.send",
            "schedule": 90.0,
            "kwargs": {"to": ["a", "b"], "pair": (1, 2)},
            "options": {"queue": "default", "expires": datetime(2040, 1, 1)},
        },
        "no queue": {
            "task": "hooked",
            "schedule": 60,
            "options": {"queue": "urgent"},
        },
        "routed": {"task": "tests.migrating.celery_app.send", "schedule": timedelta(hours=1)},
        "plain": {"task": "tests.tasks.echo", "schedule": crontab(minute=0), "relative": True},
        "bound": {"task": "tests.migrating.celery_app.bound", "schedule": 60},
        "class": {"task": "loud", "schedule": 60, "args": ("x",)},
        "hooked": {"task": "hooked", "schedule": 60},
        "nested": {"task": "nested", "schedule": 60},
        "unknown": {"task": "gone.tasks.run", "schedule": 60},
        "moment": {"task": "hooked", "schedule": 60, "args": (datetime(2026, 1, 1),)},
        "lazy": {"task": "hooked", "schedule": 60, "kwargs": {"now": BeatLazyFunc(datetime.now)}},
        "cleanup": {"task": "celery.backend_cleanup", "schedule": crontab(0, 4)},
        "friday the 13th": {
            "task": "hooked",
            "schedule": crontab(0, 0, day_of_month=13, day_of_week="fri"),
        },
        "often": {"task": "hooked", "schedule": 0.5},
        "wrong": {"task": "hooked", "schedule": 60, "when": "now"},
    },
)


_nested()
app.register_task(Loud())  # the app is finalized with it

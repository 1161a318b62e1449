"""A Django project for the tests, on the server that conftest.py starts."""

from __future__ import annotations

from urllib.parse import urlsplit

from tests import server

REDIS_URL = server.url()
_address = urlsplit(REDIS_URL)
_database = int(_address.path.strip("/") or 0)

RQ_QUEUES = {
    "default": {"URL": REDIS_URL},
    "reports": {
        "HOST": _address.hostname,
        "PORT": _address.port or 6379,
        "DB": _database,
        "USERNAME": _address.username,
        "PASSWORD": _address.password,
        "DEFAULT_TIMEOUT": 111,
        "DEFAULT_RESULT_TTL": 77,
        "SERIALIZER": "rq.serializers.JSONSerializer",
        "QUEUE_CLASS": "tests.app.queues.ReportQueue",
        "JOB_CLASS": "tests.app.queues.ReportJob",
    },
    # Another database of the same server.
    "elsewhere": {"URL": _address._replace(path=f"/{_database ^ 1}").geturl()},
    # Nobody listens on port 1.
    "nowhere": {"URL": "redis://someone:secret@127.0.0.1:1/0"},
}

INSTALLED_APPS = ["django.contrib.contenttypes", "django_rq", "django_rediscron", "tests.app"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for the tests only"
USE_TZ = True
TIME_ZONE = "UTC"

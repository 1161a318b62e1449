"""A Django project for the tests, on the server that conftest.py starts."""

from __future__ import annotations

import os
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
    # Its jobs run in the process that enqueues them.
    "here": {"URL": REDIS_URL, "ASYNC": False},
    # Another database of the same server.
    "elsewhere": {"URL": _address._replace(path=f"/{_database ^ 1}").geturl()},
    # Nobody listens on port 1.
    "nowhere": {"URL": "redis://someone:secret@127.0.0.1:1/0"},
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_rediscron",  # before django_rq, whose page of a job it extends
    "django_rq",
    "tests.app",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"
# Cheap: the tests log in often.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for the tests only"
USE_TZ = os.environ.get("REDISCRON_TEST_USE_TZ") != "0"
TIME_ZONE = "UTC"

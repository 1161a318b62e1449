"""Settings of the test project: a site on SQLite whose background work runs through Redis."""

from __future__ import annotations

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

REDIS_URL = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"

# This is all that django-rediscron needs: two apps and the queues.
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_rediscron",  # before django_rq, so that its pages of jobs link to schedules
    "django_rq",
    "journal",
    "demo",
]

RQ_QUEUES = {
    "default": {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 60},
    "reports": {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 300},
    "slow": {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 300},
    "archive": {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 300},
}
RQ_SHOW_ADMIN_LINK = True

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("TESTPROJECT_DATABASE") or BASE_DIR / "db.sqlite3",
        # The worker and the site write to one file: wait for each other's locks, and take the
        # lock at the start of a transaction, because SQLite refuses to wait for it later.
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# For a site that listens on the loopback interface only.
DEBUG = True
SECRET_KEY = os.environ.get("TESTPROJECT_SECRET_KEY") or "insecure: for the test project only"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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

ROOT_URLCONF = "testproject.urls"
WSGI_APPLICATION = "testproject.wsgi.application"
STATIC_URL = "static/"
USE_TZ = True
TIME_ZONE = "UTC"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {
        # The page reloads itself every two seconds: its requests would drown everything else.
        "django.server": {"level": "WARNING"},
    },
}

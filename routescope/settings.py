"""Settings, read from the environment. Every variable is listed in the README's configuration table."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
import django_stubs_ext
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from routescope import embedded
from routescope.config import env, mail, oidc
from routescope.config.listening import is_this_machine
from routescope.data import limits
from routescope.embedded import place

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Where it stands -------------------------------------------------------------------------------------

DEBUG = env.flag("DEBUG", False)
BASE_URL = env.text("BASE_URL", f"http://127.0.0.1:{env.integer('PORT', 8000)}").rstrip("/")
HTTPS = BASE_URL.startswith("https://")

SECRET_KEY = env.secret_key("SECRET_KEY") or embedded.local_secret_key()
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = [BASE_URL] if HTTPS else []

# How many proxies stand in front, each of which adds to X-Forwarded-For whom it was asked by. Sign-in's
# throttles, the audit log, sessions and records' addresses go by it; X-Forwarded-Proto is believed then.
TRUSTED_PROXIES = env.integer("TRUSTED_PROXIES", 0)

ROOT_URLCONF = "routescope.urls"
WSGI_APPLICATION = "routescope.wsgi.application"

INSTALLED_APPS = [
    "accounts",
    "logs",
    "tasks",
    "routescope",
    "routescope.demo",
    "routescope.newapi",
    "routescope.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "csp",
    "django_filters",
    "django_htmx",
    "template_partials",
]

MIDDLEWARE = [
    "routescope.wire.client_address.client_address",
    "routescope.web.unavailable.within_limits",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "routescope.web.private_pages.private_pages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.sign_in.activity.session_activity",
    "accounts.people.middleware.preferences",
    "accounts.scopes.seeing.seeing_as",
    "routescope.web.middleware.htmx_sign_in",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "routescope.web.context.console",
            ],
        },
    },
]

# --- Engines ---------------------------------------------------------------------------------------------

DATABASE_URL = env.text("DATABASE_URL") or embedded.database_url()

# Whether nobody else reaches this console, as far as its settings tell. The demo's accounts open only then.
ONLY_THIS_MACHINE = (
    not HTTPS
    and not TRUSTED_PROXIES
    and embedded.database_url() == DATABASE_URL
    and all(is_this_machine(name) for name in (urlsplit(BASE_URL).hostname, *ALLOWED_HOSTS))
    and is_this_machine(env.text("HOST", "127.0.0.1"))
)
REDIS_URL = env.text("REDIS_URL") or embedded.redis_url()

_database = dj_database_url.parse(DATABASE_URL, conn_max_age=60, conn_health_checks=True)
if _database["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured(
        "DATABASE_URL must name a PostgreSQL database: postgresql://user:password@host/name"
    )
DATABASES = {
    "default": {
        **_database,
        "ENGINE": "routescope.data.postgresql",
        "OPTIONS": {**limits.CONNECTION, **_database.get("OPTIONS", {})},
    }
}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# In PostgreSQL, not Redis: sign-in throttling must hold, and pages must work, while Redis is down.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "routescope_cache"},
}

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Of all workers together: how many polls can be under way, of which slow hosts get half.
WORKER_PROCESSES = env.integer("WORKER_PROCESSES", 2, minimum=1)
CELERY_WORKER_CONSUMER = "routescope.run.consumer:Consumer"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
# Redis delivers a job again that was not acknowledged in this time: longer than the longest may take
# (routescope.run.jobs), or it would run twice.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 6 * 3600}
CELERY_TASK_ROUTES = ("routescope.run.jobs.queue_of",)
CELERY_BEAT_SCHEDULER = "routescope.run.beat:Scheduler"
_NIGHTLY = {"expires": 86_400.0}
# Every job may run twice or late: it looks in the database for what there is to do. What no worker
# came to before the next one is sent has expired: nothing piles up.
CELERY_BEAT_SCHEDULE = {
    "tasks.dispatch": {"task": "tasks.dispatch", "schedule": 2.0, "options": {"expires": 2.0}},
    "tasks.settle_refunds": {"task": "tasks.settle_refunds", "schedule": 60.0, "options": {"expires": 60.0}},
    "exports.dispatch": {"task": "exports.dispatch", "schedule": 10.0, "options": {"expires": 10.0}},
    "exports.tidy": {"task": "exports.tidy", "schedule": 3600.0, "options": {"expires": 3600.0}},
    "tasks.tidy": {"task": "tasks.tidy", "schedule": 3600.0, "options": {"expires": 3600.0}},
    "tasks.fold": {"task": "tasks.fold", "schedule": 15.0, "options": {"expires": 15.0}},
    "tasks.judge": {"task": "tasks.judge", "schedule": 900.0, "options": {"expires": 900.0}},
    "logs.fold": {"task": "logs.fold", "schedule": 15.0, "options": {"expires": 15.0}},
    "logs.partitions": {"task": "logs.partitions", "schedule": 300.0, "options": {"expires": 300.0}},
    "logs.spans": {"task": "logs.spans", "schedule": 300.0, "options": {"expires": 300.0}},
    "logs.minutes": {"task": "logs.minutes", "schedule": 900.0, "options": {"expires": 900.0}},
    "logs.bounds": {"task": "logs.bounds", "schedule": 900.0, "options": {"expires": 900.0}},
    "jobs.watch": {"task": "jobs.watch", "schedule": 300.0, "options": {"expires": 300.0}},
    "logs.unusual": {"task": "logs.unusual", "schedule": 900.0, "options": {"expires": 900.0}},
    "logs.count_busy_hours": {
        "task": "logs.count_busy_hours",
        "schedule": crontab(minute="6,26,46"),
        "options": {"expires": 1200.0},
    },
    "logs.count_all_busy_hours": {
        "task": "logs.count_busy_hours",
        "kwargs": {"everything": True},
        "schedule": crontab(hour="3", minute="40"),
        "options": _NIGHTLY,
    },
    "logs.count_latencies": {
        "task": "logs.latencies",
        "schedule": crontab(minute="8,28,48"),
        "options": {"expires": 1200.0},
    },
    "logs.count_all_latencies": {
        "task": "logs.latencies",
        "kwargs": {"everything": True},
        "schedule": crontab(hour="3", minute="50"),
        "options": _NIGHTLY,
    },
    "logs.compact": {
        "task": "logs.compact",
        "schedule": crontab(hour="4", minute="10"),
        "options": _NIGHTLY,
    },
    "logs.maintenance.retention": {
        "task": "logs.maintenance.retention",
        "schedule": crontab(hour="2", minute="10"),
        "options": _NIGHTLY,
    },
    "tasks.maintenance.retention": {
        "task": "tasks.maintenance.retention",
        "schedule": crontab(hour="2", minute="20"),
        "options": _NIGHTLY,
    },
    "logs.price_unpriced": {
        "task": "logs.price_unpriced",
        "schedule": crontab(hour="2", minute="40"),
        "options": _NIGHTLY,
    },
    "logs.rotate_content": {
        "task": "logs.rotate_content",
        "schedule": crontab(hour="3", minute="10"),
        "options": _NIGHTLY,
    },
}

# --- People ----------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/records/usage/"
LOGOUT_REDIRECT_URL = "account_login"

# Failures count by address and network (`accounts.sign_in.adapter`), all strangers' together by address.
# Coming back from the OpenID provider has a limit of its own: each sign-in is one of `login` already.
ACCOUNT_RATE_LIMITS = {
    "login_failed": "10/m/ip,5/300s/key",
    "login_failed_afar": "100/h/key",
    "oidc_callback": "60/m/ip",
    "oidc_refused": "10/m/ip",
    "guide_answer": "20/10m/user",
}
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "accounts.people.link_tokens.ResetTokens"  # noqa: S105  # a class
ACCOUNT_ADAPTER = "accounts.sign_in.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
USERSESSIONS_TRACK_ACTIVITY = True
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# A code may change while it is typed and sent: the one before it counts too (RFC 6238, 5.2).
MFA_TOTP_TOLERANCE = 1
MFA_ADAPTER = "accounts.sign_in.second_factors.MFAAdapter"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS

OIDC = oidc.from_environment()
SOCIALACCOUNT_STORE_TOKENS = False
PASSWORD_SIGN_IN = env.flag("PASSWORD_SIGN_IN", True)
if not PASSWORD_SIGN_IN and OIDC is None:
    raise ImproperlyConfigured("PASSWORD_SIGN_IN=0 needs OIDC_ISSUER: nobody could sign in.")

try:
    EMAIL_BACKEND = mail.chosen(env.text("EMAIL_BACKEND"), only_this_machine=ONLY_THIS_MACHINE)
except ValueError as error:
    raise ImproperlyConfigured(str(error)) from error
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
EMAIL_PORT = env.integer("EMAIL_PORT", 25)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", False)
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Routescope <routescope@localhost>")

# --- Language and time -----------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["routescope.config.formats"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- Static files ----------------------------------------------------------------------------------------

STATIC_URL = "/static/"
# With the state elsewhere the checkout may be read-only.
STATIC_ROOT = place.state() / "staticfiles" if env.text("ROUTESCOPE_STATE") else BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "routescope.run.static_storage.SmallStaticFilesStorage"},
}

# --- Security --------------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        # Results of tasks are shown in a sandbox: a page of ours that may load them and nothing else.
        "frame-src": [SELF],
        "manifest-src": [SELF],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS and env.flag("SSL_REDIRECT", True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS", 31_536_000) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS

# --- Records ---------------------------------------------------------------------------------------------

RECORD_RETENTION_MONTHS = env.integer("RECORD_RETENTION_MONTHS", 84, minimum=1)
ROLLUP_RETENTION_YEARS = env.integer("ROLLUP_RETENTION_YEARS", 10, minimum=1)
CONTENT_RETENTION_DAYS = env.integer("CONTENT_RETENTION_DAYS", 30, minimum=1)
CONTENT_MAX_BYTES = env.integer("CONTENT_MAX_BYTES", 256 * 1024, minimum=1024)

# --- Links of the operator's own -------------------------------------------------------------------------

# From a failure's next step; what is filled in stands in routescope.config.links.
PLAYGROUND_URL = env.text("PLAYGROUND_URL")
API_REFERENCE_URL = env.text("API_REFERENCE_URL")
# Whom people ask, such as for a higher limit: an e-mail address, or the https address of a page.
SUPPORT_CONTACT = env.text("SUPPORT_CONTACT")
# From the guide. Where one is not set, nothing speaks of it.
TERMS_URL = env.text("TERMS_URL")
PRIVACY_URL = env.text("PRIVACY_URL")

# --- Read API --------------------------------------------------------------------------------------------

READ_API_REQUESTS_PER_MINUTE = env.integer("READ_API_REQUESTS_PER_MINUTE", 120, minimum=1)

# --- Exports ---------------------------------------------------------------------------------------------

# Shared by the web processes and the workers.
EXPORTS_DIR = Path(env.text("EXPORTS_DIR") or place.state() / "exports")
EXPORT_DAYS = env.integer("EXPORT_DAYS", 7, minimum=1)
EXPORT_MAX_ROWS = env.integer("EXPORT_MAX_ROWS", 10_000_000, minimum=1)
EXPORT_MAX_MEGABYTES = env.integer("EXPORT_MAX_MEGABYTES", 4096, minimum=1)

# --- Encryption at rest ----------------------------------------------------------------------------------

# The first key encrypts, all decrypt. SECRET_KEY stays among them for what was encrypted before any was set.
ENCRYPTION_KEYS = [*env.words("ENCRYPTION_KEYS"), SECRET_KEY]

# --- Requests to others ----------------------------------------------------------------------------------

# Networks (10.1.0.0/16), addresses or host names, each with or without :port, that requests may go to
# although they are not public.
OUTBOUND_ALLOWED = env.words("OUTBOUND_ALLOWED")
# Where the demo's development provider serves what the demo's tasks made: `up` says where it runs.
DEMO_PROVIDER_URL = env.text("DEMO_PROVIDER_URL", "https://media.example.com").rstrip("/")

# --- Logs ------------------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "routescope.run.log_lines.LogLines",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
    },
    "filters": {
        "troubles": {"()": "routescope.data.troubles.Filter"},
        "outages": {"()": "routescope.data.outages.Quiet"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["outages"]}},
    # A client's 4xx, an unknown request ID say, is an answer and not a fault of the server.
    "loggers": {"django.request": {"level": "ERROR", "filters": ["troubles"]}},
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "INFO").upper()},
}

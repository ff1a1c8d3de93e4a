"""Settings, all from the environment; ``.env.example`` explains each variable with its default."""

import os
import secrets
from datetime import timedelta
from logging import getLevelNamesMapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import environ
from django.core.exceptions import ImproperlyConfigured

from reflector_project.broker import broker_and_options

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
ENV_FILE = Path(os.environ.get("ENV_FILE", BASE_DIR / ".env"))
if ENV_FILE.exists():
    env.read_env(ENV_FILE)
for _name in [name for name, value in os.environ.items() if not value]:
    del os.environ[_name]  # an empty variable is one that is not set
VAR_DIR = BASE_DIR / os.environ.get("VAR_DIR", "var")
#: what the operator set, before the sandbox fills in; runall starts its processes with this
OPERATOR_ENVIRON = dict(os.environ)


_YES_OR_NO = {*env.BOOLEAN_TRUE_STRINGS, "false", "off", "no", "n", "0"}


def read(kind: str, name: str, default: Any) -> Any:
    """A variable as ``env.<kind>`` reads it; what it cannot read is told by the variable's name."""
    try:
        value = getattr(env, kind)(name, default=default)
        if kind == "db":
            value["ENGINE"]
        if kind == "bool" and name in os.environ and os.environ[name].strip().lower() not in _YES_OR_NO:
            raise ValueError("neither yes nor no")  # else it would be a no
        if name.endswith("PORT") and not 0 < value < 65536:
            raise ValueError("no port")
        return value
    except (ImproperlyConfigured, KeyError, TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"{name} cannot be read; .env.example shows what it looks like.") from error


DEBUG = read("bool", "DEBUG", False)

#: what the sandbox wrote about itself; what is set in the environment wins, so real credentials are never replaced
SANDBOX_ENV_FILE = VAR_DIR / "sandbox.env"
if DEBUG and read("bool", "USE_SANDBOX", True) and SANDBOX_ENV_FILE.exists():
    env.read_env(SANDBOX_ENV_FILE)

SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("SECRET_KEY is not set. Put a long random string into the environment or .env.")
    secret_file = VAR_DIR / "secret_key"
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    if not secret_file.exists():
        secret_file.touch(mode=0o600)
        secret_file.write_text(secrets.token_urlsafe(50))
    SECRET_KEY = secret_file.read_text()

PORT = read("int", "PORT", 8000)
SANDBOX_PORT = read("int", "SANDBOX_PORT", 8001)
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://localhost:{PORT}").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# -- platforms: one entry each; a platform is a package that is also a Django app ---------------------------------

PLATFORMS = ["platforms.whereby", "platforms.daily"]
PLATFORM_ENVIRON = dict(os.environ)
DEFAULT_PLATFORM = env.str("DEFAULT_PLATFORM", default="whereby")
#: operation -> (requests, per seconds), per process; from the providers' documented limits
PLATFORM_RATE_BUDGETS: dict[str, dict[str, tuple[int, float]]] = {
    "daily": {"default": (20, 1), "delete_room": (2, 1.2), "list_recordings": (2, 1.2), "start_recording": (1, 1)},
    "whereby": {"default": (90, 60)},
}

INSTALLED_APPS = [
    "rooms.staff.site.StaffConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "csp",
    "rest_framework",
    "rest_framework.authtoken",
    "django_dramatiq",
    "axes",
    "platforms",
    *PLATFORMS,
    "rooms",
    "meetings",
    "recordings",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "meetings.middleware.permissions_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "rooms.staff.zones.middleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "reflector_project.urls"
WSGI_APPLICATION = "reflector_project.wsgi.application"
APPEND_SLASH = True

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
            ],
        },
    },
]

# -- database -------------------------------------------------------------------------------------------------------

DATABASES = {"default": read("db", "DATABASE_URL", f"sqlite:///{VAR_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = read("int", "CONN_MAX_AGE", 60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
        # a server that is gone without a word must not hold up whoever asks it; seconds, milliseconds
        DATABASES["default"]["OPTIONS"] = {
            "connect_timeout": 2,
            "tcp_user_timeout": 5000,
            **DATABASES["default"].get("OPTIONS", {}),
        }
#: how long the webhook door waits for the database before it answers 503
DOOR_PATIENCE_S = 2
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- broker: carries wake-up calls only --------------------------------------------------------------------------------

EMBEDDED_BROKER_PORT = read("int", "EMBEDDED_BROKER_PORT", 6399)
BROKER_URL = env.str("BROKER_URL", default="")
_broker, _broker_options = broker_and_options(BROKER_URL or f"redis://127.0.0.1:{EMBEDDED_BROKER_PORT}/0")
DRAMATIQ_BROKER = {
    "BROKER": _broker,
    "OPTIONS": _broker_options,
    "MIDDLEWARE": [
        "dramatiq.middleware.AgeLimit",
        "dramatiq.middleware.TimeLimit",
        "dramatiq.middleware.ShutdownNotifications",
        "dramatiq.middleware.Callbacks",
        "dramatiq.middleware.Retries",
        "django_dramatiq.middleware.DbConnectionsMiddleware",
        "platforms.metrics.WritesCalls",
    ],
}

# -- storage and speech ---------------------------------------------------------------------------------------------

MEDIA_STORAGE = env.str("MEDIA_STORAGE", default=f"file://{VAR_DIR / 'media'}")
AWS_REGION = env.str("AWS_REGION", default="us-west-2")
AWS_ACCESS_KEY_ID = env.str("AWS_ACCESS_KEY_ID", default="")
AWS_SECRET_ACCESS_KEY = env.str("AWS_SECRET_ACCESS_KEY", default="")
MEDIA_S3_ENDPOINT_URL = env.str("MEDIA_S3_ENDPOINT_URL", default="") or env.str("AWS_S3_ENDPOINT_URL", default="")
TRANSCRIBER = env.str("TRANSCRIBER", default="moonshine")
TRANSCRIBER_URL = env.str("TRANSCRIBER_URL", default="")
TRANSCRIBER_API_KEY = env.str("TRANSCRIBER_API_KEY", default="")
TRANSCRIBER_MODEL = env.str("TRANSCRIBER_MODEL", default="")

# -- meetings ---------------------------------------------------------------------------------------------------------

MEETING_HOURS = read("float", "MEETING_HOURS", 8.0)
EMPTY_GRACE_S = read("float", "EMPTY_GRACE_S", 120.0)
#: how often guests of one network address may press Join
GUEST_JOINS_PER_MINUTE = read("int", "GUEST_JOINS_PER_MINUTE", 20)
#: what a room does whose platform cannot open its meeting, unless it says so itself: fail or fall_back
PLATFORM_FAILURE_POLICY = env.str("PLATFORM_FAILURE_POLICY", default="fail")
#: how long outcomes of meetings are waited for, as a multiple of what the pipeline promises
OUTCOME_PATIENCE = read("float", "OUTCOME_PATIENCE", 1.0)

# -- people -----------------------------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
#: five wrong passwords for one name from one address stop both together for a quarter of an hour; not in development,
#: where a browser may fill in the password of yesterday's demo
AXES_ENABLED = read("bool", "LOGIN_LOCKOUT", not DEBUG)
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "reflector_project.lockout.network_of"
AXES_LOCKOUT_CALLABLE = "reflector_project.lockout.locked_out"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
vars().update(read("email", "EMAIL_URL", "consolemail://"))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Reflector rooms <rooms@localhost>")
EMAIL_TIMEOUT = 20

# -- alerts: who is told, besides the admin ---------------------------------------------------------------------------

ALERT_EMAILS = env.list("ALERT_EMAILS", default=[])
ALERT_WEBHOOK_URL = env.str("ALERT_WEBHOOK_URL", default="")
ALERT_WEBHOOK_SECRET = env.str("ALERT_WEBHOOK_SECRET", default="")

# -- web --------------------------------------------------------------------------------------------------------------

#: requests that one process of ``manage.py serve`` works on at a time
WEB_THREADS = read("int", "WEB_THREADS", 16)

LANGUAGE_CODE = "en-gb"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
try:
    ZoneInfo(TIME_ZONE)
except (ValueError, ZoneInfoNotFoundError) as error:
    raise ImproperlyConfigured("TIME_ZONE is no time zone: give one such as Europe/Berlin.") from error
USE_TZ = True
USE_I18N = True
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": VAR_DIR / "uploads"}},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

_https = PUBLIC_URL.startswith("https://")
_behind_proxy = read("bool", "BEHIND_PROXY", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _behind_proxy else None
#: only where the proxy tells which requests came by https; else every page would redirect to itself for ever
SECURE_SSL_REDIRECT = read("bool", "HTTPS_REDIRECT", _https and _behind_proxy and not DEBUG)
#: a redirect is a failed delivery to a webhook sender, and a failed probe to a load balancer
SECURE_REDIRECT_EXEMPT = [r"^v1/webhooks/", r"^v1/(daily|whereby)(/|_|$)", r"^(healthz|readyz)/?$"]
SECURE_HSTS_SECONDS = read("int", "HSTS_SECONDS", 31_536_000 if _https and not DEBUG else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = read("bool", "HSTS_SUBDOMAINS", False)
SECURE_HSTS_PRELOAD = read("bool", "HSTS_PRELOAD", False)
#: `check --deploy` asks about these two until the operator has said yes or no
SILENCED_SYSTEM_CHECKS = [
    check
    for name, check in {"HSTS_SUBDOMAINS": "security.W005", "HSTS_PRELOAD": "security.W021"}.items()
    if name in os.environ
]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = int(timedelta(days=14).total_seconds())
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "frame-src": ["'none'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
if LOG_LEVEL not in getLevelNamesMapping():
    raise ImproperlyConfigured("LOG_LEVEL is no level: give DEBUG, INFO, WARNING or ERROR.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}

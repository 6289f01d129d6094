"""Every setting of the panel. Each environment variable is read here and once; a wrong value stops the start with a
sentence. A secret ``X`` may come as ``X_FILE``, the name of a file that holds it.

Nothing here touches the disk but to read: folder, keys and database are made by ``manage.py prepare``.
"""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

BASE_DIR: Final = Path(__file__).resolve().parent.parent


_known: set[str] = set()  # every variable that was asked for


def _text(name: str, default: str = "") -> str:
    _known.add(name)
    return os.environ.get(name, "").strip() or default


def _number(name: str, default: int, highest: int) -> int:
    text = _text(name, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= highest):
        raise ImproperlyConfigured(f"{name} is {text!r}: it must be a whole number from 1 to {highest}.")
    return int(text)


def _port(name: str) -> int:
    """Return a port, 0 where none is set."""
    return _number(name, 0, 65535) if _text(name) else 0


def _file(name: str, default: Path | None = None) -> Path | None:
    text = _text(name)
    path = Path(text) if text else default
    if text and not Path(text).is_file():
        raise ImproperlyConfigured(f"{name} names {text}, which is not a file.")
    return path if path and path.is_file() else None


def _secret(name: str, fallback: Path | None = None) -> str:
    """Return the variable, or the contents of the file it names, or of ``fallback`` where neither is set."""
    if _text(name) and _text(f"{name}_FILE"):
        raise ImproperlyConfigured(f"Both {name} and {name}_FILE are set: leave one out.")
    if _text(name):
        return _text(name)
    path = _file(f"{name}_FILE", fallback)
    if path is None:
        return ""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}: the file {path} cannot be read: {error}.") from error
    if not text:
        raise ImproperlyConfigured(f"{name}: the file {path} is empty.")
    return text


# The folder of everything that must outlive a restart. Folders in it are private (0700): see services.installation.
DATA: Final = Path(_text("MAILFERRY_DATA", str(BASE_DIR / ".data"))).absolute()
KEYS: Final = DATA / "keys"
SECRET_KEY_PATH: Final = KEYS / "secret_key"
VAULT_KEYS_PATH: Final = KEYS / "vault_keys"


def _vault_keys() -> tuple[str, ...]:
    """Return the keys of bridge.vault: the first seals, all open."""
    keys = tuple(_secret("MAILFERRY_VAULT_KEYS", VAULT_KEYS_PATH).split())
    for number, key in enumerate(keys, 1):
        if not re.fullmatch(r"[A-Za-z0-9_-]{43}=", key):
            raise ImproperlyConfigured(f"MAILFERRY_VAULT_KEYS: key {number} is not 32 bytes in URL-safe base64.")
    return keys


# Empty before the first start: Django refuses whatever needs a key then, and services.installation makes them.
SECRET_KEY = _secret("MAILFERRY_SECRET_KEY", SECRET_KEY_PATH)
VAULT_KEYS: Final = _vault_keys()
MISSING_KEYS: Final = [path for path, key in ((SECRET_KEY_PATH, SECRET_KEY), (VAULT_KEYS_PATH, VAULT_KEYS)) if not key]

# Where the pages are

PORT: Final = _number("MAILFERRY_PORT", 8000, 65535)


def _address(name: str, default: str) -> str:
    text = _text(name, default)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {text!r}: it must be an address, as 127.0.0.1 or 0.0.0.0.") from error


def _networks(name: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(part.strip())) for part in _text(name).split(",") if part.strip())
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}; name addresses or networks, with commas between them.") from error


BIND: Final = _address("MAILFERRY_BIND", "127.0.0.1")
TRUSTED_PROXY: Final = _networks("MAILFERRY_TRUSTED_PROXY")
TLS_CERTIFICATE: Final = _file("MAILFERRY_TLS_CERTIFICATE")
TLS_KEY: Final = _file("MAILFERRY_TLS_KEY")

if (TLS_CERTIFICATE is None) != (TLS_KEY is None):
    raise ImproperlyConfigured("MAILFERRY_TLS_CERTIFICATE and MAILFERRY_TLS_KEY go together: one of them is missing.")
if not (ipaddress.ip_address(BIND).is_loopback or TLS_CERTIFICATE or TRUSTED_PROXY):
    raise ImproperlyConfigured(
        f"MAILFERRY_BIND is {BIND}, which other machines reach, and passwords would cross the network in the clear. "
        "Set MAILFERRY_TLS_CERTIFICATE and MAILFERRY_TLS_KEY, or put a proxy that speaks TLS in front and name its "
        "address in MAILFERRY_TRUSTED_PROXY, or leave MAILFERRY_BIND out."
    )


def _url() -> tuple[str, str, str]:
    """Return (the address of the panel, its origin, its host)."""
    scheme = "https" if TLS_CERTIFICATE else "http"
    text = _text("MAILFERRY_URL", f"{scheme}://localhost:{PORT}").rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query or parts.username:
        raise ImproperlyConfigured(
            f"MAILFERRY_URL is {text!r}: it must be the address people type, as https://move.example.org, and no more."
        )
    return text, f"{parts.scheme}://{parts.netloc}", parts.hostname


URL, _origin, _host = _url()
ALLOWED_HOSTS = sorted({_host, "localhost", "127.0.0.1", "[::1]"})
CSRF_TRUSTED_ORIGINS = [_origin]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = URL.startswith("https:")

# Where front servers ask who serves a user (see campaigns.gates). 0: nobody can.
GATES_BIND: Final = _address("MAILFERRY_GATES_BIND", "127.0.0.1")
GATES_PORT: Final = _port("MAILFERRY_GATES_PORT")
SOCKETMAP_PORT: Final = _port("MAILFERRY_SOCKETMAP_PORT")

METRICS_TOKEN: Final = _secret("MAILFERRY_METRICS_TOKEN")

# Whom names are asked of (HOST or HOST:PORT) for the check of MX and the like; empty: whom this machine asks
NAME_SERVER: Final = _text("MAILFERRY_NAME_SERVER")

# What works

LANES: Final = _number("MAILFERRY_LANES", 8, 64)  # accounts one worker process works on at once
STAGE_WORKERS: Final = _number("MAILFERRY_STAGE_WORKERS", 1, 64)  # processes that `up` starts
CUTOVER_WORKERS: Final = _number("MAILFERRY_CUTOVER_WORKERS", 1, 64)


def _folders(name: str) -> tuple[Path, ...]:
    """Return folders of others. None may hold what is ours: keys are no mail, and our data no programs."""
    folders = tuple(Path(part) for part in _text(name).split(":") if part)
    for folder in folders:
        if not folder.is_absolute() or ".." in folder.parts or folder.parent == folder:
            raise ImproperlyConfigured(f"{name} names {folder}: it must be the whole path of a folder, and not /.")
        real = Path(os.path.realpath(folder))
        if DATA.is_relative_to(real) or real.is_relative_to(DATA):
            raise ImproperlyConfigured(f"{name} names {folder}, but Mailferry's own data is in {DATA}: name another.")
    return folders


# Where mail may be read from files of this machine. Empty: nowhere.
MAIL_FOLDERS: Final = _folders("MAILFERRY_MAIL_FOLDERS")


def _one_folder(name: str) -> Path | None:
    folders = _folders(name)
    if len(folders) > 1:
        raise ImproperlyConfigured(f"{name} names {len(folders)} folders: name one.")
    return folders[0] if folders else None


# Programs and SQL statements of connectors, and nothing that we can write: see bridge.host_files. None: nothing.
PROGRAMS: Final = _one_folder("MAILFERRY_PROGRAMS")

# Set by `./run demo`, for itself and its programs: the servers are the demo's own, and pages may offer to mend them.
DEMO: Final = _text("MAILFERRY_DEMO") == "1"

# The database

_SQLITE_OPTIONS: Final = {
    "timeout": 20,
    # A transaction that reads first and writes later fails with "database is locked", which no waiting cures.
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


def _sqlite(path: Path) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": path, "OPTIONS": _SQLITE_OPTIONS}


def _postgresql(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": {"connect_timeout": 10} | dict(parse_qsl(parts.query)),
    }


def _database(url: str) -> dict[str, Any]:
    scheme, _, rest = url.partition("://")
    if not url:
        return _sqlite(DATA / "mailferry.sqlite3")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return _sqlite(Path(rest))
    try:
        if scheme in ("postgresql", "postgres") and urlsplit(url).path.strip("/"):
            return _postgresql(url)
    except ValueError as error:  # a port that is none
        raise ImproperlyConfigured(f"DATABASE_URL cannot be read: {error}.") from error
    # Not the value itself: it may hold a password.
    raise ImproperlyConfigured(
        "DATABASE_URL must be postgresql://USER:PASSWORD@HOST:PORT/NAME or sqlite:///PATH (a password in percent code)."
    )


DATABASES = {"default": _database(_secret("DATABASE_URL"))}

# The queue

REDIS_URL: Final = _secret("REDIS_URL")
QUEUE_FOLDER: Final = DATA / "queue"  # of the embedded queue, used without REDIS_URL

if REDIS_URL and REDIS_URL.partition("://")[0] not in ("redis", "rediss", "unix"):
    raise ImproperlyConfigured("REDIS_URL must be redis://:PASSWORD@HOST:PORT/0, or rediss:// for TLS.")

# Variables that look like ours and are none: misspelt, most likely. Those of the tests are the tests' own.
UNKNOWN_VARIABLES: Final = sorted(
    name
    for name in set(os.environ) - _known
    if name.startswith("MAILFERRY_") and not name.startswith("MAILFERRY_TEST_")
)

# Django

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "csp",
    "django_htmx",
    "campaigns",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",  # every page, but those that say otherwise
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "campaigns.middleware.ReaderMiddleware",
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
                "campaigns.views.frame.frame",
            ],
            "builtins": ["campaigns.templatetags.ui", "django.templatetags.i18n", "django.templatetags.static"],
        },
    }
]
ROOT_URLCONF = "campaigns.urls"
WSGI_APPLICATION = "campaigns.wsgi.application"

AUTH_USER_MODEL = "campaigns.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Sign-in. Nobody signs up: staff logins are made by an administrator and begin with a one-time link.
ACCOUNT_ADAPTER = "campaigns.views.sign_in.Staff"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_PRESERVE_USERNAME_CASING = False
# Five wrong passwords of one person lock that person's sign-in for five minutes; ten of one address, that address.
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/300s/key"}
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if TRUSTED_PROXY else 0
SESSION_COOKIE_AGE = 12 * 60 * 60  # a night

SESSION_COOKIE_NAME = "mailferry_session"
CSRF_COOKIE_NAME = "mailferry_csrf"

# Pages: no script, style or picture but our own; the kit draws ticks and arrows as data.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# What is sent: files within the bounds of a list, the rest within those of one that is pasted.
FILE_UPLOAD_HANDLERS = [
    "campaigns.views.uploads.Bounded",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
DATA_UPLOAD_MAX_MEMORY_SIZE = 6 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FILES = 1  # each may be as long as a list

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # straight from the checkout: there is no build step
WHITENOISE_MAX_AGE = 600

# Counters of sign-in attempts. With several web processes they must share them.
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": "panel"}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
TIME_ZONE = "UTC"  # Django's own default is a city, and workers would log by its clock
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"celery": {"level": "WARNING"}, "kombu": {"level": "WARNING"}},
}

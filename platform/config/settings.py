"""Django's settings. What a deployment decides stands in config/env.py; this is what follows."""

import os
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from config import databases, env, logs

_environment = env.read()

BASE_DIR = env.ROOT
INNKEEPER_HOME = _environment.home
INNKEEPER_PUBLIC_URL = _environment.public_url
INNKEEPER_OWN_CORE = _environment.own_core
INNKEEPER_MAX_BODY_BYTES = _environment.max_body_bytes
INNKEEPER_USAGE_RETENTION = _environment.usage_retention
INNKEEPER_FAILED_AUTH_PER_MINUTE = _environment.failed_auth_per_minute
INNKEEPER_AUDIT_MAX_LAG_S = _environment.audit_max_lag_s
INNKEEPER_TRUSTED_PROXIES = _environment.trusted_proxies
INNKEEPER_METRICS_NETWORKS = _environment.metrics_networks
INNKEEPER_WORKER_METRICS = _environment.worker_metrics
INNKEEPER_OUTBOUND_TARGETS = _environment.outbound_targets
INNKEEPER_OUTBOUND_PORTS = _environment.outbound_ports
INNKEEPER_OUTBOUND_CA = _environment.outbound_ca
INNKEEPER_AUDIT_TSA = _environment.audit_tsa
INNKEEPER_AUDIT_TSA_CA = _environment.audit_tsa_ca
INNKEEPER_AUDIT_TSA_INTERVAL_S = _environment.audit_tsa_interval
INNKEEPER_AUDIT_WITNESSES = _environment.audit_witnesses
INNKEEPER_SLA_TARGET_MS = 15
INNKEEPER_SLOW_STATEMENT_MS = 100
INNKEEPER_VERSION = version("innkeeper")

SECRET_KEY = _environment.secret_key
DEBUG = _environment.debug
ALLOWED_HOSTS = _environment.allowed_hosts
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en-us"

INSTALLED_APPS = [
    "config.apps.InnkeeperAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_prometheus",
    "procrastinate.contrib.django",
    "kernel",
    "audit",
    "tenants",
    "accounts",
    "billing",
    "webhooks",
    "config.apps.ConfigConfig",
]

# The API path runs one middleware; staff pages get the session's inside config.staff.
MIDDLEWARE = [
    "kernel.http.middleware.RequestMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.staff.StaffPages",
]

# The three middlewares that Django's admin asks for run inside config.staff, for its pages only.
SILENCED_SYSTEM_CHECKS = ["admin.E408", "admin.E409", "admin.E410"]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
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

DATABASES = databases.aliases(_environment.pool_size)
DATABASE_ROUTERS = ["kernel.db.RoleRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = ["accounts.hashers.BoundedArgon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _environment.public_url.startswith("https://")
# Behind a proxy that ends TLS, browsers name this origin and Django sees plain HTTP.
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(INNKEEPER_PUBLIC_URL))]
CSRF_FAILURE_VIEW = "kernel.http.problem.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"

DATA_UPLOAD_MAX_MEMORY_SIZE = INNKEEPER_MAX_BODY_BYTES
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # no collectstatic step: a clone serves its pages as it is
WHITENOISE_AUTOREFRESH = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["kernel.http.deny.DenyAll"],
    "DEFAULT_RENDERER_CLASSES": ["kernel.http.render.OrjsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["kernel.http.render.OrjsonParser"],
    "DEFAULT_SCHEMA_CLASS": "kernel.http.schema.EndpointSchema",
    "EXCEPTION_HANDLER": "kernel.http.problem.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Innkeeper",
    "DESCRIPTION": "Tenants, keys, plans, metering and audit for SaaS. See docs/ for the guides.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v[0-9]",
    "COMPONENT_SPLIT_REQUEST": True,
    "SORT_OPERATIONS": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "TenantStatus": ["active", "suspended", "closed"],
        "KeyStatus": ["active", "expired", "revoked"],
        "SubscriptionStatus": ["active"],
        "AuditStreamStatus": ["active", "paused"],
        "AuditStreamKind": ["webhook", "splunk", "syslog"],
    },
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "ApiKey": {
                "type": "http",
                "scheme": "bearer",
                "description": "A tenant key (ikt_…) or a platform key (ikp_…).",
            },
            "StaffSession": {
                "type": "apiKey",
                "in": "cookie",
                "name": "sessionid",
                "description": "The session of the staff pages, on the operator's routes only.",
            },
            "CsrfToken": {
                "type": "apiKey",
                "in": "header",
                "name": "X-CSRFToken",
                "description": "Beside a staff session: the value of the cookie csrftoken.",
            },
        }
    },
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums"],
}

# Fine below 25 ms, where the promises are; a later change would break recording rules.
PROMETHEUS_LATENCY_BUCKETS = (
    0.001, 0.0025, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.0175, 0.02, 0.025,
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, float("inf"),
)  # fmt: skip
PROMETHEUS_EXPORT_MIGRATIONS = False

PROCRASTINATE_DATABASE_ALIAS = "staff"

LOGGING_CONFIG = None
logs.configure(_environment.log_level, stream=os.environ.get("INNKEEPER_LOG", "stderr"))

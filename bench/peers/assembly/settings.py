"""Settings of the usual assembly: `startproject` plus what each package's installation page asks for.

Every departure from a default is one that makes it faster, never slower; README.md gives the reason for each.
"""

import os

SECRET_KEY = "a-throw-away-key-for-a-benchmark-on-loopback"  # noqa: S105 - serves one bench run
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "assembly.urls"
WSGI_APPLICATION = "assembly.wsgi.application"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "rest_framework_api_key",
    "waffle",
    "auditlog",
    "assembly",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "waffle.middleware.WaffleMiddleware",
    "auditlog.middleware.AuditlogMiddleware",
]
TEMPLATES = []

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["ASSEMBLY_DB_NAME"],
        "USER": os.environ["ASSEMBLY_DB_USER"],
        "HOST": os.environ["ASSEMBLY_DB_HOST"],
        "PORT": os.environ.get("ASSEMBLY_DB_PORT", ""),
        "CONN_MAX_AGE": 600,
    }
}
# Django's default, and the fastest a team can choose: nothing leaves the process. Its price is that each worker counts for itself.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["assembly.permissions.HasOrganizationAPIKey"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}
# Requests a day for each plan. The top plan is finite because SimpleRateThrottle knows no "unlimited".
PLAN_RATES = {"trial": "100/day", "basic": "1000/day", "professional": "10000/day", "enterprise": "1000000/day"}

WAFFLE_FLAG_MODEL = "assembly.Flag"
# Whether each usage row gets its audit entry; the bench measures both.
AUDIT_USAGE = os.environ.get("ASSEMBLY_AUDIT_USAGE", "1") == "1"
LOGGING_CONFIG = None

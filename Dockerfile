# The serving system in one image; docker-compose.yml shows how its parts run together.
# Also runs alone: with a volume at /var/lib/innkeeper, `python -m config.launcher` brings the
# embedded database, the server and the worker up in one container.

FROM python:3.13-slim-bookworm AS build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /srv/innkeeper
COPY requirements/ requirements/
RUN python -m venv .venv \
    && .venv/bin/python -m pip install --quiet --require-hashes -r requirements/uv.lock.txt \
    && .venv/bin/uv pip sync --require-hashes requirements/run.lock.txt
COPY . .
RUN .venv/bin/uv pip install --no-deps --no-build-isolation -e . \
    && .venv/bin/python -m compileall -q platform accounts audit billing tenants

FROM python:3.13-slim-bookworm
RUN useradd --system --home-dir /var/lib/innkeeper --create-home --shell /usr/sbin/nologin innkeeper
COPY --from=build --chown=root:root /srv/innkeeper /srv/innkeeper
ENV PATH=/srv/innkeeper/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=config.settings \
    INNKEEPER_HOME=/var/lib/innkeeper \
    HOST=0.0.0.0 \
    PORT=8000
USER innkeeper
WORKDIR /var/lib/innkeeper
VOLUME /var/lib/innkeeper
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-P", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
STOPSIGNAL SIGTERM
CMD ["python", "-P", "-m", "config.launcher.server"]

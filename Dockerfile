# One image for all programs of the panel: docker-compose.yml says which container runs which.

FROM python:3.11-slim-bookworm AS packages
COPY requirements.txt /
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements.txt

FROM python:3.11-slim-bookworm
# pg_dump and pg_restore, for `backup` and `restore`. Of no fixed version: Debian keeps only the newest fix of each.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-log-init --no-create-home mailferry \
    && install -d -m 700 -o mailferry -g mailferry /data
COPY --from=packages /venv /venv
COPY . /app
RUN /venv/bin/python -m compileall -q /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 MAILFERRY_DATA=/data
WORKDIR /app
USER 10001
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["python", "/app/manage.py"]
CMD ["doctor"]

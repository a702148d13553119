# The Label Studio backend: fcfi serve, with its weights inside and no network at run time.
#
#   docker build -f docker/label-studio.Dockerfile --target cpu -t fcfi-label-studio:0.1.0-cpu .
#   docker build -f docker/label-studio.Dockerfile --target gpu -t fcfi-label-studio:0.1.0-gpu .
#   docker run -p 9090:9090 -e LABEL_STUDIO_URL=... -e LABEL_STUDIO_API_KEY=... fcfi-label-studio:0.1.0-cpu
#
# The GPU image needs the NVIDIA driver and container toolkit on the host: docker run --gpus all ...
# docker/compose.label-studio.yaml runs it beside Label Studio.

# The tag moves with Debian's and Python's security updates. For builds that are equal byte by byte, give a digest:
#   docker build --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:... (docker images --digests tells it)
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY fcfi_core fcfi_core
COPY label_studio_backend label_studio_backend
COPY cvat_function cvat_function
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${PYTHON_IMAGE} AS base
ENV PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    OMP_WAIT_POLICY=PASSIVE \
    FCFI_HOST=0.0.0.0 \
    FCFI_PORT=9090
COPY constraints.txt /tmp/constraints.txt
COPY --from=wheel /wheels /wheels
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin fcfi
EXPOSE 9090
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "label_studio_backend.probe"]
CMD ["fcfi", "serve"]

FROM base AS gpu
# The build of torch on PyPI brings its own CUDA libraries.
RUN set -e; for wheel in /wheels/*.whl; do \
      pip install --no-cache-dir --constraint /tmp/constraints.txt "${wheel}[label-studio,images,torch]"; \
    done; rm -rf /wheels /tmp/*.txt
USER 10001

FROM base AS cpu
# Every file that is installed must have the digest that is written there.
COPY docker/requirements-label-studio.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement /tmp/requirements.txt \
    && pip install --no-cache-dir --no-deps /wheels/*.whl \
    && rm -rf /wheels /tmp/*.txt
USER 10001

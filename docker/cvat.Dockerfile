# Base images of the nuclio functions in cvat_function/: Python, this package and its weights; torch on GPUs.
#
#   docker build -f docker/cvat.Dockerfile --target cpu -t fcfi-cvat:0.1.0-cpu .
#   docker build -f docker/cvat.Dockerfile --target gpu -t fcfi-cvat:0.1.0-gpu .
#
# Without network: fill wheelhouse/ on a machine that has one (docs/cvat.md), then add
#   --network none --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/wheelhouse
#
# nuclio adds its processor and the function's folder while it builds, as root, and copies them where only root
# writes: no USER here. The function itself needs no rights, and is run without them: securityContext in its file.
# nuclio's Python wheels go up to 3.11.

# The tag moves with Debian's and Python's security updates. For builds that are equal byte by byte, give a digest:
#   docker build --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:... (docker images --digests tells it)
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS wheel
ARG PIP_NO_INDEX=
ARG PIP_FIND_LINKS=
WORKDIR /source
# The bracket makes the folder optional.
COPY LICENSE wheelhous[e] /wheelhouse/
COPY pyproject.toml README.md LICENSE ./
COPY fcfi_core fcfi_core
COPY label_studio_backend label_studio_backend
COPY cvat_function cvat_function
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${PYTHON_IMAGE} AS base
ENV PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    OMP_WAIT_POLICY=PASSIVE
WORKDIR /opt/nuclio
COPY constraints.txt /tmp/constraints.txt
COPY LICENSE wheelhous[e] /wheelhouse/
COPY --from=wheel /wheels /wheels

FROM base AS gpu
ARG PIP_NO_INDEX=
ARG PIP_FIND_LINKS=
# The build of torch on PyPI brings its own CUDA libraries; the host needs the NVIDIA driver and toolkit.
RUN set -e; for wheel in /wheels/*.whl; do \
      pip install --no-cache-dir --constraint /tmp/constraints.txt "${wheel}[torch]"; \
    done; rm -rf /wheels /wheelhouse /tmp/*.txt

FROM base AS cpu
ARG PIP_NO_INDEX=
ARG PIP_FIND_LINKS=
# Every file that is installed must have the digest that is written there.
COPY docker/requirements-cvat.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement /tmp/requirements.txt \
    && pip install --no-cache-dir --no-deps /wheels/*.whl \
    && rm -rf /wheels /wheelhouse /tmp/*.txt

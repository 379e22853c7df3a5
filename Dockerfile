# The image of every role: controller, run, mover, restore. docs/image.md explains it layer by layer.
# Builds anywhere with `docker build .`. Behind a mirror or a proxy with its own certificate, hand the
# machine's settings in as build secrets (ids: pip.conf, ca.crt); they reach one command and no layer.

FROM debian:trixie-slim AS builder
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv \
 && python3 -m venv /opt/build \
 && python3 -m venv --without-pip /opt/backstay

# The dependencies: changed seldom, a layer of their own.
FROM builder AS dependencies
COPY requirements/ /src/requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt \
    pip="/opt/build/bin/pip --disable-pip-version-check --no-cache-dir" \
 && $pip install --quiet --require-hashes -r /src/requirements/build.txt \
 && $pip --python /opt/backstay/bin/python install --quiet --require-hashes --no-compile \
      -r /src/requirements/runtime.txt
# kubernetes.aio is a second copy of the whole client for asyncio (31 MB of source); nothing imports it.
RUN rm -rf /opt/backstay/lib/python3.*/site-packages/kubernetes/aio \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/backstay/lib \
 && GIT_PYTHON_REFRESH=quiet /opt/backstay/bin/python -c "import kubernetes, git, restic, pydantic, ruamel.yaml, yaml, orjson"

# Backstay itself, as the wheel that a package index would serve.
FROM dependencies AS project
COPY pyproject.toml README.md LICENSE /src/
COPY reconciler/ /src/reconciler/
RUN pip="/opt/build/bin/pip --disable-pip-version-check" \
 && $pip wheel --quiet --no-deps --no-build-isolation -w /wheel /src \
 && $pip --python /opt/backstay/bin/python install --quiet --no-deps --no-compile /wheel/*.whl \
 && cd /opt/backstay \
 && python3 -m compileall -q --invalidation-mode unchecked-hash lib/python3.*/site-packages/reconciler \
 && mkdir /project \
 && cp -a --parents bin/backstay lib/python3.*/site-packages/reconciler \
      lib/python3.*/site-packages/backstay-*.dist-info /project/

FROM debian:trixie-slim
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates git openssh-client python3 restic tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/* \
 && echo 'backstay:x:65532:' >>/etc/group \
 && echo 'backstay:x:65532:65532:Backstay:/tmp:/usr/sbin/nologin' >>/etc/passwd
COPY --from=dependencies /opt/backstay /opt/backstay
COPY --from=project /project /opt/backstay
# HOME is where a pod mounts an emptyDir; the rest of the file system may be read-only.
ENV PATH=/opt/backstay/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/tmp LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /tmp
# A git that fails leaves the shell behind with which it started ssh: process 1 takes such orphans in.
ENTRYPOINT ["tini", "--", "backstay"]

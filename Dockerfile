# docker build -t ganjax .
# docker build -t ganjax --build-arg EXTRA=cuda13 .     NVIDIA; pip brings CUDA, the host its driver
# docker run --rm -v "$PWD:/work" ganjax run gan --data ring --out runs/gan        (--gpus all)
ARG BASE=python:3.12-slim
FROM ${BASE}
ARG EXTRA=report,export
WORKDIR /opt/ganjax
COPY pyproject.toml README.md LICENSE ./
COPY ganjax ganjax
COPY experiments experiments
RUN python -m pip install --no-cache-dir ".[${EXTRA}]"
ENV XDG_CACHE_HOME=/work/.cache
WORKDIR /work
ENTRYPOINT ["ganjax"]

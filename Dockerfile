# docker build -t mmfba . && docker run --rm mmfba make test
# For a GPU, an image with nvcc, in which mmcv's CUDA ops are compiled:
# docker build -t mmfba --build-arg FORCE_CUDA=1 \
#     --build-arg BASE=nvidia/cuda:13.0.2-devel-ubuntu22.04 .
ARG BASE=debian:12-slim
FROM ${BASE}

# OpenCV needs the last two.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y \
        --no-install-recommends ca-certificates g++ git make \
        python3.11 python3.11-dev python3.11-venv libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --uid 1000 --create-home mmfba \
    && install -d -o mmfba /home/mmfba/project
USER 1000
WORKDIR /home/mmfba/project
COPY --chown=1000 . .
ARG FORCE_CUDA=0
RUN FORCE_CUDA=${FORCE_CUDA} PIP_NO_CACHE_DIR=1 bash tools/setup_env.sh
ENV PATH=/home/mmfba/project/.venv/bin:$PATH
CMD ["bash"]

#!/usr/bin/env bash
# What only several GPUs show, on two of them: a few minutes.
# benchmarks/multi_gpu.sh [PYTHON [BACKEND]]; with the backend gloo the same
# checks run on a CPU, but for what that cannot show.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python}
backend=${2:-nccl}
# From NCCL 2.26 on kernels of two communicators start in one order.
export NCCL_LAUNCH_ORDER_IMPLICIT=1
"$python" -m torch.distributed.run --standalone --nproc_per_node 2 \
    benchmarks/multi_gpu_checks.py "$backend"

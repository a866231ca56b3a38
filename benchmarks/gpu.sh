#!/usr/bin/env bash
# What only a GPU shows: eight minutes at most on one of 80 GB.
# benchmarks/gpu.sh [PYTHON [FOLDER]] writes JSON files into FOLDER.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python}
out=${2:-benchmarks/results/memory}
retinanet=configs/local_fpn/local-fpn-k4_retinanet_r50_fpn_1x_coco.py
edsr=configs/fba/fba-k4_edsr_x2c64b16_1xb16-300k_div2k.py
lean=model.bbox_head.loss_cls.type=mmfba.LeanSigmoidFocalLoss
amp=optim_wrapper.type=mmfba.AmpLocalLearningOptimWrapper

measure() {  # name config images height width options -- arms
    local name=$1 config=$2 images=$3 height=$4 width=$5 options=$6
    shift 6
    "$python" tools/analysis_tools/benchmark_memory.py "$config" \
        --device cuda --steps 10 --batch "$images" \
        --shape "$height" "$width" --arms "$@" \
        --cfg-options $options --out "$out/${name}_cuda.json"
}

"$python" benchmarks/gpu_checks.py
arms='bp cp local local+fast local+fast+chunk local+fast+stem+chunk+checkpoint2'
measure retinanet-r50_2x800x1344 $retinanet 2 800 1344 "$lean" \
    bp+fast $arms
# The first arm is mmdet's own step with mmcv's kernel.
measure retinanet-r50_2x800x1344_mmcv $retinanet 2 800 1344 \
    model.backbone.norm_eval=False bp local local+fast
for dtype in float16 bfloat16; do
    measure retinanet-r50_2x800x1344_$dtype $retinanet 2 800 1344 \
        "$lean $amp optim_wrapper.dtype=$dtype" bp cp local local+fast
done
measure retinanet-r50_16x800x1344 $retinanet 16 800 1344 "$lean" \
    bp cp local local+fast
measure edsr-x2_16x48x48 $edsr 16 48 48 optim_wrapper.optimizer.fused=True \
    bp checkpoint local local+chunk4

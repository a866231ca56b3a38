#!/usr/bin/env bash
# The memory tables of docs/memory.md, on the meta device: about 30 minutes.
# benchmarks/memory.sh [PYTHON [NAME]], of the tables whose names have NAME.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python}
only=${2:-}
out=benchmarks/results/memory
retinanet=configs/local_fpn/local-fpn-k4_retinanet_r50_fpn_1x_coco.py
edsr=configs/fba/fba-k4_edsr_x2c64b16_1xb16-300k_div2k.py
# The loss in every arm is the lean one, as a fused kernel's on a GPU.
lean=model.bbox_head.loss_cls.type=mmfba.LeanSigmoidFocalLoss

measure() {  # name config images height width options -- arms
    local name=$1 config=$2 images=$3 height=$4 width=$5 options=$6
    shift 6
    [[ $name == *"$only"* ]] || return 0
    "$python" tools/analysis_tools/benchmark_memory.py "$config" \
        --batch "$images" --shape "$height" "$width" --arms "$@" \
        --cfg-options $options --out "$out/$name.json"
}

measure retinanet-r50_2x800x1344 $retinanet 2 800 1344 "$lean" \
    bp bp+fast cp stem+checkpoint+chunk local local+fast local+chunk \
    local+stem+balanced+chunk local+stem+chunk+checkpoint2 \
    local+fast+stem+chunk+checkpoint2 local+stem+tuned accum2
# The README's: the stock config, with what a GPU's kernel of the loss keeps.
ways=(bp cp stem+checkpoint+chunk local local+stem+balanced+chunk+checkpoint)
stock=mmdet::retinanet/retinanet_r50_fpn_1x_coco.py
local="model.type=mmfba.LocalRetinaNet model.local_learning.num_modules=4"
measure retinanet-r50-finetuned_2x800x1344 $stock 2 800 1344 "$local" \
    "${ways[@]}"
# With a local FPN twice as wide.
measure retinanet-r50-finetuned-c64_2x800x1344 $stock 2 800 1344 \
    "$local model.local_learning.auxiliary.neck.out_channels=64" "${ways[@]}"
# Stock configs with the one line of local learning, all else by default.
one() {  # name config class images height width
    measure "$1" "$2" "$4" "$5" "$6" \
        "model.type=mmfba.Local$3 model.local_learning.num_modules=4" \
        bp checkpoint local local+balanced local+checkpoint
}
one resnet50_32x224x224 mmpretrain::resnet/resnet50_8xb32_in1k.py \
    ImageClassifier 32 224 224
one swin-t_32x224x224 mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py \
    ImageClassifier 32 224 224
one mobilenet-v2_32x224x224 mmpretrain::mobilenet_v2/mobilenet-v2_8xb32_in1k.py \
    ImageClassifier 32 224 224
one faster-rcnn-r50_2x800x1344 mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py \
    FasterRCNN 2 800 1344
one swinir_4x48x48 mmagic::swinir/swinir_x2s48w8d6e180_8xb4-lr2e-4-500k_div2k.py \
    BaseEditModel 4 48 48
for scale in 2 4; do
    measure edsr-x${scale}_16x48x48 $edsr 16 48 48 \
        model.generator.upscale_factor=$scale \
        bp checkpoint checkpoint+chunk accum16 local local+chunk local+chunk4 \
        local+tuned local+width25+chunk local+width25+tuned local+k16+chunk \
        local+k16+width25+chunk
done
measure resnet32_128x32x32 \
    configs/fba/fba-k16_resnet32_1xb128-2e_fashion-mnist.py 128 32 32 \
    model.local_learning.loss_weight=4.0 \
    bp checkpoint local local+checkpoint local+k7+balanced \
    local+k4+width50+balanced local+k4+balanced local+k4+balanced+checkpoint
for depth in 34 50 101 152; do
    options="$lean model.backbone.depth=$depth"
    if [ $depth = 34 ]; then
        options+=" model.neck.in_channels=[64,128,256,512]"
    fi
    measure retinanet-r${depth}_72x320x320 $retinanet 72 320 320 "$options" \
        bp cp stem+checkpoint+chunk8 local local+stem+balanced+chunk8 \
        local+stem+balanced+chunk8+checkpoint accum9
done

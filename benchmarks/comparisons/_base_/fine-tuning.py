# Fine-tuning, the usual case in detection: a backbone pretrained on another
# task, its first stages frozen, its batch normalisation in eval mode. Before:
#
# python tools/train.py configs/bp/resnet18-w32_1xb128-2e_fashion-mnist.py
metric = 'coco/bbox_mAP'
shape = (128, 128)
name = 'retinanet_r18-w32-pretrained_fpn_1xb8-6e_digit-scenes'
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'FBA': dict(config=f'configs/fba/fba-k4_{name}.py'),
    'local FPN': dict(config=f'configs/local_fpn/local-fpn-k4_{name}.py'),
}
del name

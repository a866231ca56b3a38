# The costs of tables 3 and 4 of the paper: RetinaNet on COCO.
metric = 'coco/bbox_mAP'
shape = (320, 320)
configs = [
    'bp/retinanet_r34_fpn_1xb64-90e_coco',
    'fba/fba-k4_retinanet_r34_fpn_1xb64-90e_coco',
    'fba_paper/fba-s1-k4_retinanet_r34_fpn_1xb64-90e_coco',
    'fba/fba-k8_retinanet_r34_fpn_1xb64-160e_coco',
    'fba_paper/fba-s2-k8_retinanet_r34_fpn_1xb64-160e_coco',
    'fba/fba-k17_retinanet_r34_fpn_1xb64-160e_coco',
    'fba_paper/fba-s2-k17_retinanet_r34_fpn_1xb64-160e_coco',
    'fba_paper/fba-s2-own-head-k17_retinanet_r34_fpn_1xb64-160e_coco',
    'fba_paper/fba-s2-plain-k17_retinanet_r34_fpn_1xb64-160e_coco',
    'fba_paper/fba-s2-plain-own-head-k17_retinanet_r34_fpn_1xb64-160e_coco',
    'dgl/dgl-fpn-k4_retinanet_r34_fpn_1xb64-90e_coco',
    'dgl/dgl-fpn-k8_retinanet_r34_fpn_1xb64-160e_coco',
    'dgl/dgl-fpn-k17_retinanet_r34_fpn_1xb64-160e_coco',
    'bp/retinanet_r34-pretrained_fpn_1xb64-90e_coco',
    'fba/fba-k4_retinanet_r34-pretrained_fpn_1xb64-90e_coco',
    'bp/retinanet_r50_fpn_1xb64-90e_coco',
    'fba/fba-k4_retinanet_r50_fpn_1xb64-90e_coco',
    'fba_paper/fba-s1-k4_retinanet_r50_fpn_1xb64-90e_coco',
    'fba/fba-k17_retinanet_r50_fpn_1xb64-160e_coco',
    'fba_paper/fba-s2-k17_retinanet_r50_fpn_1xb64-160e_coco',
    'bp/retinanet_r101_fpn_1xb64-90e_coco',
    'fba/fba-k4_retinanet_r101_fpn_1xb64-90e_coco',
    'fba_paper/fba-s1-k4_retinanet_r101_fpn_1xb64-90e_coco',
    'fba/fba-k34_retinanet_r101_fpn_1xb64-160e_coco',
    'fba_paper/fba-s2-k34_retinanet_r101_fpn_1xb64-160e_coco',
    'bp/retinanet_r152_fpn_1xb64-90e_coco',
    'fba/fba-k4_retinanet_r152_fpn_1xb64-90e_coco',
    'fba_paper/fba-s1-k4_retinanet_r152_fpn_1xb64-90e_coco',
    'fba/fba-k51_retinanet_r152_fpn_1xb64-160e_coco',
    'fba_paper/fba-s2-k51_retinanet_r152_fpn_1xb64-160e_coco',
]
arms = {path: dict(config=f'configs/{path}.py') for path in configs}
del configs

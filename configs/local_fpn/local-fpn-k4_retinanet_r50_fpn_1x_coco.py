_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
model = dict(
    type='mmfba.LocalSingleStageDetector',
    backbone=dict(init_cfg=None, frozen_stages=-1, norm_eval=False),
    local_learning=dict(num_modules=4, partition='stage'),
)
optim_wrapper = dict(clip_grad=dict(max_norm=10))

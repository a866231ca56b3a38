_base_ = './retinanet_r152_fpn_1xb64-90e_coco.py'
train_cfg = dict(max_epochs=160)
*warm_up, cosine = _base_.param_scheduler
param_scheduler = [*warm_up, dict(cosine, T_max=160)]

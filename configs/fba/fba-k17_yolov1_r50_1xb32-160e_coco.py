_base_ = './fba-k4_yolov1_r50_1xb32-90e_coco.py'
model = dict(local_learning=dict(num_modules=17, partition='uniform'))
train_cfg = dict(max_epochs=160)
*warm_up, cosine = _base_.param_scheduler
param_scheduler = [*warm_up, dict(cosine, T_max=160)]

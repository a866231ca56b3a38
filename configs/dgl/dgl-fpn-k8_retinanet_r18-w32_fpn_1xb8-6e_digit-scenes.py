_base_ = './dgl-fpn-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
model = dict(local_learning=dict(num_modules=8, partition='uniform'))

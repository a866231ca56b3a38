_base_ = './dgl-fpn-k4_retinanet_r34_fpn_1x_coco.py'
model = dict(local_learning=dict(num_modules=17))

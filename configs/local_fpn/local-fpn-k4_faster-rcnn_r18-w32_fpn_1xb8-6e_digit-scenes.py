_base_ = '../bp/faster-rcnn_r18-w32_fpn_1xb8-6e_digit-scenes.py'
model = dict(type='mmfba.LocalFasterRCNN', local_learning=dict(num_modules=4))

# All 2,000 images, 1,500 steps.
_base_ = './_base_/fine-tuning.py'
name = 'retinanet_r18-w32-pretrained_fpn_1xb8-6e_digit-scenes'
neck = 'model.local_learning.auxiliary.neck'
arms = {
    'local FPN, 64 channels': dict(
        config=f'configs/local_fpn/local-fpn-k4_{name}.py',
        options=[f'{neck}.out_channels=64'],
    ),
}
del name, neck

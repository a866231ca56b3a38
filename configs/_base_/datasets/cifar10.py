# As in the local-learning literature: InfoPro, AugLocal and FBA.
_base_ = 'mmpretrain::_base_/datasets/cifar10_bs16.py'
data_preprocessor = dict(mean=[125.3, 123.0, 113.9], std=[63.0, 62.1, 66.7])

train_pipeline = [
    # mmpretrain's RandomCrop pads with zeros, whatever its padding_mode.
    dict(type='NumpyToPIL'),
    dict(
        type='torchvision/RandomCrop',
        size=32,
        padding=4,
        padding_mode='reflect',
    ),
    dict(type='PILToNumpy'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]

train_dataloader = dict(batch_size=1024, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=1024)
test_dataloader = dict(batch_size=1024)

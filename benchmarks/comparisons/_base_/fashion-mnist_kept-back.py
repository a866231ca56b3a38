# The last 10,000 images of the training data instead of the test set: for
# choices, so that the test set stays unseen. One seed.
_base_ = './fashion-mnist_10k.py'
seeds = [0]
options = [
    *_base_.options,
    *(
        f'{loader}_dataloader.dataset.{option}'
        for loader in ('val', 'test')
        for option in ('split=train', 'test_mode=False', 'indices=-10000')
    ),
]

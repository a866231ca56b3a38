# DIV2K's layout: tools/dataset_converters/photographs.py writes it.
_base_ = 'mmagic::edsr/edsr_x2c64b16_1xb16-300k_div2k.py'
data_root = 'data/photographs'
for _load in _base_.train_pipeline[:2]:
    _load['use_cache'] = True
_train = dict(ann_file='meta_info_DIV2K800sub_GT.txt', data_root=data_root)
_valid = dict(
    dataset_type='div2k', task_name='sisr')
train_dataloader = dict(
    num_workers=1,
    persistent_workers=True,
    dataset=dict(data_root=data_root, pipeline=_base_.train_pipeline))

# The ablation of the paper's table 4, Adapt x Head. Adapt: the auxiliary
# networks are FBA's, an SLM and the bank; without it they are DGL's, three
# convs and an FPN of one feature. Head: they share the main network's head by
# weights; without it each has a head of its own, as large. The paper's first
# row, without both, is BP.
metric = 'coco/bbox_mAP'
shape = (128, 128)
name = 'retinanet_r18-w32_fpn_1xb8-6e_digit-scenes'
config = f'configs/local_fpn/local-fpn-k4_{name}.py'
# By stage: the paper does not say where K=4 cuts.
by_stage = 'model.local_learning.partition=stage'
neck = 'model.local_learning.auxiliary.neck'
head = 'model.local_learning.auxiliary.head.mode'
plain = [f'{neck}.type=mmfba.DGLFPN', f'{neck}.out_channels=64']
adapted = [f'{neck}.type=mmfba.SLMFPN', f'{neck}.out_channels=64']
arms = {
    'BP': dict(config=f'configs/bp/{name}.py'),
    'plain, own head': dict(options=[by_stage, *plain, f'{head}=copy']),
    'plain, shared head': dict(options=[by_stage, *plain, f'{head}=shared']),
    'Adapt, own head': dict(options=[by_stage, *adapted, f'{head}=copy']),
    'FBA (Adapt, shared head)': dict(
        options=[by_stage, *adapted, f'{head}=shared']
    ),
}
del name, by_stage, neck, head, plain, adapted

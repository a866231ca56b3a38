# The paper as it is written: what a leaf of configs/fba_paper takes as
# ``model.local_learning`` over the leaf of the default.
#
# s1 is the paper, whose SLM is a block of the cut's own stage (eq. 2); s2 its
# earlier version, whose SLM has a block for each remaining stage (eq. 4).
# Blocks of full width, the bank is added, the main network's own head where
# the width is its own. Nothing is tuned for memory.
without_fpn = dict(  # YOLOv1; the paper describes detectors with an FPN only
    auxiliary=dict(
        neck=dict(
            type='mmfba.SLMNeck',
            mode='stage_chain',
            channel_ratio=1.0,
            fusion='add',
        ),
        head=dict(mode='shared'),
    )
)
fpn = dict(  # with the channels of the main FPN
    type='mmfba.SLMFPN', channel_ratio=1.0, fusion='add', out_channels=256
)
shared = dict(neck=dict(fusion='add'), head=dict(mode='shared'))
paper = dict(
    detection_lr=1e-4,
    s1=dict(
        # It ends at the width of the cut's stage, not at the main head's.
        classification=dict(
            loss_weight=1.0,
            auxiliary=dict(neck=dict(mode='stage_tail', fusion='add')),
        ),
        detection=dict(
            auxiliary=dict(
                neck=dict(fpn, mode='stage_tail'), head=dict(mode='shared')
            )
        ),
        yolov1=without_fpn,
        super_resolution=dict(auxiliary=shared),
    ),
    s2=dict(
        classification=dict(
            loss_weight=1.0,
            auxiliary=dict(
                shared, neck=dict(mode='stage_chain', fusion='add')
            ),
        ),
        detection=dict(
            auxiliary=dict(
                neck=dict(fpn, mode='stage_chain'), head=dict(mode='shared')
            )
        ),
        yolov1=without_fpn,
        super_resolution=dict(taps=['input'], auxiliary=shared),
    ),
)
del without_fpn, fpn, shared

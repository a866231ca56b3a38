# The paper as it is written: what a leaf of configs/fba_paper takes as
# ``model.local_learning`` over the leaf of the default.
#
# s1 is the paper, whose SLM is a block of the cut's own stage (eq. 2); s2 its
# earlier version, whose SLM has a block for each remaining stage (as we read
# eq. 4). Blocks of full width, the bank is added, the main network's own head;
# without an FPN s1's SLM ends at the width of the cut's stage, not at the main
# head's: there the head is a copy. Nothing is tuned for memory.
without_fpn = dict(type='mmfba.SLMNeck', channel_ratio=1.0, fusion='add')
fpn = dict(  # with the channels of the main FPN
    type='mmfba.SLMFPN', channel_ratio=1.0, fusion='add', out_channels=256
)
shared = dict(neck=dict(fusion='add'), head=dict(mode='shared'))
paper = dict(
    detection_lr=1e-4,
    s1=dict(
        classification=dict(
            loss_weight=1.0,
            auxiliary=dict(
                neck=dict(mode='stage_tail', channel_ratio=1.0, fusion='add')
            ),
        ),
        detection=dict(
            auxiliary=dict(
                neck=dict(fpn, mode='stage_tail'), head=dict(mode='shared')
            )
        ),
        yolov1=dict(
            auxiliary=dict(
                neck=dict(without_fpn, mode='stage_tail'),
                head=dict(mode='copy'),
            )
        ),
        super_resolution=dict(partition='uniform', auxiliary=shared),
    ),
    s2=dict(
        classification=dict(
            loss_weight=1.0,
            auxiliary=dict(
                shared,
                neck=dict(mode='stage_chain', channel_ratio=1.0, fusion='add'),
            ),
        ),
        detection=dict(
            auxiliary=dict(
                neck=dict(fpn, mode='stage_chain'), head=dict(mode='shared')
            )
        ),
        yolov1=dict(
            auxiliary=dict(
                neck=dict(without_fpn, mode='stage_chain'),
                head=dict(mode='shared'),
            )
        ),
        super_resolution=dict(
            partition='uniform', taps=['input'], auxiliary=shared
        ),
    ),
)
del without_fpn, fpn, shared

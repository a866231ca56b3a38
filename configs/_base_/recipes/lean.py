# Less memory for time: what a leaf may take over its ``model``. Gradients are
# the same, up to rounding.
lean = dict(
    classification=dict(local_learning=dict(lean_stem=True, checkpoint=True)),
    detection=dict(
        bbox_head=dict(loss_cls=dict(type='mmfba.LeanSigmoidFocalLoss')),
        local_learning=dict(lean_stem=True, chunk=1, checkpoint=True),
    ),
    super_resolution=dict(local_learning=dict(chunk=1, checkpoint=True)),
)

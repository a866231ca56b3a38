# The FBA of digit scenes, with the neck of benchmarks/pyramid_use.py at hand.
_base_ = (
    '../../../configs/fba/fba-k4_retinanet_r18-w32_fpn_1xb8-6e_digit-scenes.py'
)
custom_imports = dict(
    imports=['benchmarks.pyramid_use'], allow_failed_imports=False
)

# FBA of a detector with an FPN, as the paper has it (S1 eq. 2 and 5): what a
# leaf of configs/fba takes as ``model.local_learning``.
#
# Its SLM is a block of the cut's own stage, earlier levels of the local FPN
# come from the bank. Blocks, FPN and head are slim, as mmfba's default has it.
fba = dict(auxiliary=dict(neck=dict(type='mmfba.SLMFPN', mode='stage_tail')))

_base_ = './man-dgl-k16_resnet32_1xb1024-400e_svhn.py'
model = dict(
    local_learning=dict(
        auxiliary=dict(
            host=dict(
                _delete_=True,
                type='mmfba.InfoProAuxiliary',
                arch='2c2f',
                # 5 and 0.5, less what the authors' code takes off by stage.
                recon_weight=(4.6, 3.9),
                task_weight=(0.46, 0.39),
            )
        )
    )
)

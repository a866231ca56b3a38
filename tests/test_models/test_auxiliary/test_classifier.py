# Copyright (c) mmfba authors.
"""Heads of several tasks, and images with several labels."""

import pytest
import torch
from local_models import build, data
from mmpretrain.models.heads import MultiLabelLinearClsHead
from mmpretrain.structures import (
    DataSample,
    MultiTaskDataSample,
    label_to_onehot,
)
from peers import LABELS, feature, peer_spec, samples
from specs import filled_bank

from mmfba.models.auxiliary import InfoProAuxiliary, PredSimAuxiliary
from mmfba.models.auxiliary.predsim_auxiliary import similarity_matrix

TASK = 'classification'
TASKS = dict(
    _delete_=True,
    type='MultiTaskHead',
    in_channels=32,
    task_heads=dict(
        shape=dict(type='LinearClsHead', num_classes=3),
        colour=dict(type='LinearClsHead', num_classes=5, in_channels=32),
    ),
)
LABEL_SETS = ([1, 4], [4], [], [0, 2, 7], [9], [1])
PREDSIM = dict(
    type='mmfba.PredSimAuxiliary', input_shape=(16, 16), dim_in_decoder=512
)
INFOPRO = dict(
    type='mmfba.InfoProAuxiliary', recon_weight=1.0, task_weight=1.0
)
WORKING = [
    dict(),
    dict(type='mmfba.DGLAuxiliary', variant='original'),
    dict(type='mmfba.AugLocalAuxiliary', depth=2),
    dict(type='mmfba.GreedyAuxiliary'),
    INFOPRO,
]


def losses(model, samples):
    inputs = data(model, TASK)['inputs'][: len(samples)]
    return model.loss(inputs, samples)


def task_samples():
    """The second image has no colour."""
    tasks = [dict(shape=i % 3, colour=i % 5) for i in range(4)]
    del tasks[1]['colour']
    made = [MultiTaskDataSample() for _ in tasks]
    for sample, labels in zip(made, tasks):
        for name, label in labels.items():
            sample.set_field(DataSample().set_gt_label(label), name)
    return made


def test_several_tasks_in_one_module_are_bp():
    grads = []
    for options in (dict(), dict(num_modules=1)):
        model = build(TASK, dict(head=TASKS), **options)
        total, _ = model.parse_losses(losses(model, task_samples()))
        total.backward()
        grads.append([p.grad for p in model.parameters()])
    assert all(a.equal(b) for a, b in zip(*grads))


@pytest.mark.parametrize('auxiliary', WORKING)
def test_several_tasks_are_trained_at_every_cut(auxiliary):
    model = build(TASK, dict(head=TASKS), num_modules=3, auxiliary=auxiliary)
    total, logs = model.parse_losses(losses(model, task_samples()))
    total.backward()
    for i in range(2):
        assert {f'aux{i}/shape', f'aux{i}/colour'} <= set(logs)
    assert all(p.grad is not None for p in model.parameters())
    # An image without a label of a task changes nothing of that task's loss.
    assert logs['aux1/colour_mask_size'] == 3


def test_the_local_loss_of_several_tasks_is_the_sum_of_each_ones():
    model = build(
        TASK,
        dict(head=TASKS),
        num_modules=2,
        auxiliary=dict(type='mmfba.GreedyAuxiliary'),
    )
    (aux,) = model.local_aux
    x, given = feature(aux.head.task_heads['shape'].in_channels, 4).float(), []
    x = x[:4]
    got = aux.loss(x, None, task_samples())
    for name in ('shape', 'colour'):
        head = aux.head.task_heads[name]
        rows = [i for i in range(4) if name == 'shape' or i != 1]
        labels = torch.tensor([i % head.num_classes for i in rows])
        scores = head.fc(x[rows].mean((2, 3)))
        given.append(torch.nn.functional.cross_entropy(scores, labels))
        torch.testing.assert_close(got[f'{name}_loss'], given[-1])


@pytest.mark.parametrize(
    'auxiliary', [PREDSIM, dict(INFOPRO, loss='contrast')]
)
def test_images_are_not_compared_by_the_labels_of_several_tasks(auxiliary):
    with pytest.raises(ValueError, match=r"MultiTaskHead has the tasks \['sh"):
        build(TASK, dict(head=TASKS), num_modules=3, auxiliary=auxiliary)


def several_labels():
    return [DataSample().set_gt_label(labels) for labels in LABEL_SETS]


def predsim():
    return PredSimAuxiliary(peer_spec('stem'), (8, 8), 512)


def test_similarity_is_to_each_images_own_labels():
    head = MultiLabelLinearClsHead(10, 512)
    aux = predsim()
    x = feature(16, 8).float()
    aux.head = head  # several labels are no target of the cross entropy
    loss = aux.loss(x, filled_bank((), {}), several_labels())['loss_sim']
    target = torch.stack(
        [
            label_to_onehot(torch.tensor(labels, dtype=torch.long), 10)
            for labels in LABEL_SETS
        ]
    ).float()
    expected = (
        similarity_matrix(aux.similarity(x)) - similarity_matrix(target)
    ).square()
    torch.testing.assert_close(loss, 0.99 * expected.mean())


def test_labels_out_of_range_are_no_other_images():
    wrong = [DataSample().set_gt_label(10) for _ in LABELS]
    with pytest.raises((IndexError, RuntimeError)):
        predsim().loss(feature(16, 8).float(), filled_bank((), {}), wrong)


@pytest.mark.parametrize('auxiliary', [PREDSIM, *WORKING])
def test_several_labels_are_trained_at_every_cut(auxiliary):
    head = dict(type='MultiLabelLinearClsHead', num_classes=10, in_channels=32)
    model = build(
        TASK,
        dict(head=dict(head, _delete_=True)),
        num_modules=3,
        auxiliary=auxiliary,
    )
    total, _ = model.parse_losses(losses(model, several_labels()[:4]))
    total.backward()
    assert all(p.grad is not None for p in model.parameters())


def contrast(**kwargs):
    weights = dict(recon_weight=1.0, task_weight=1.0)
    return build(
        TASK,
        num_modules=2,
        auxiliary=dict(
            type='mmfba.InfoProAuxiliary', loss='contrast', **weights
        ),
        **kwargs,
    )


def test_contrast_of_several_labels_is_refused():
    head = dict(type='MultiLabelLinearClsHead', num_classes=10, in_channels=32)
    with pytest.raises(ValueError, match="MultiLabelLinear.* use loss='ce'"):
        contrast(plain_options=dict(head=dict(head, _delete_=True)))
    # As many labels as images, but not one each.
    labels = [[1, 2], [1], [], [2]]
    wrong = [DataSample().set_gt_label(label) for label in labels]
    with pytest.raises(ValueError, match='image 0 of the batch has 2 labels'):
        losses(contrast(), wrong)
    scores = [DataSample().set_gt_score(torch.eye(10)[i]) for i in range(4)]
    with pytest.raises(ValueError, match='image 0 of the batch has 0 labels'):
        losses(contrast(), scores)


def test_contrast_of_one_image_has_no_gradient_and_no_nan():
    aux = InfoProAuxiliary(
        peer_spec('stem', data_preprocessor=_pre()),
        loss='contrast',
        recon_weight=1.0,
        task_weight=1.0,
    )
    x = feature(16, 8).float()[:1].requires_grad_()
    image = torch.rand(1, 3, 8, 8)
    got = aux.loss(
        x, filled_bank(('input',), dict(input=image)), samples()[:1]
    )
    got['loss_contrast'].backward()
    assert got['loss_contrast'] == 0 and not x.grad.any()


def _pre():
    from mmpretrain.models import ClsDataPreprocessor

    return ClsDataPreprocessor(mean=(1.0,) * 3, std=(2.0,) * 3)


def test_a_head_of_maps_takes_no_vectors():
    csra = dict(
        type='CSRAClsHead',
        num_classes=10,
        in_channels=32,
        num_heads=1,
        lam=0.1,
    )
    plain = dict(neck=dict(type='GlobalAveragePooling'), head=csra)
    with pytest.raises(ValueError, match="CSRAClsHead cannot .*FBAAuxiliary'"):
        build(
            TASK,
            dict(plain, head=dict(csra, _delete_=True)),
            num_modules=2,
            auxiliary=dict(type='mmfba.GreedyAuxiliary'),
        )


NORMALISED = [
    dict(type='mmfba.DGLAuxiliary', variant='original'),
    dict(type='mmfba.AugLocalAuxiliary', depth=1),
]


@pytest.mark.parametrize('auxiliary', NORMALISED)
def test_one_image_is_refused_before_anything_is_trained(auxiliary):
    model = build(TASK, num_modules=3, auxiliary=auxiliary)
    with pytest.raises(ValueError, match='a batch of 1 image: .*drop_last='):
        losses(model, samples()[:1])
    assert all(p.grad is None for p in model.parameters())
    losses(model.eval(), samples()[:1])  # with running statistics


@pytest.mark.parametrize('options', [dict(num_modules=1), dict(num_modules=3)])
def test_one_image_trains_where_bp_does(options):
    model = build(TASK, **options)
    model.parse_losses(losses(model, samples()[:1]))[0].backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())

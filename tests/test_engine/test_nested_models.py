# Copyright (c) mmfba authors.
"""A local model inside another model trains rightly, or not at all."""

import copy

import pytest
import torch
from local_models import DETECTOR, bare_loss, build, data, gradients, raw_data
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import MODELS
from tiny_runner import make_runner

from mmfba.engine.model_wrappers import LocalDistributedDataParallel
from mmfba.engine.optim_wrappers import (
    AmpLocalLearningOptimWrapper,
    LocalLearningOptimWrapper,
)

LOCAL = 'mmfba.LocalSingleStageDetector'
IMMEDIATE = dict(num_modules=3)
SUMMED = dict(num_modules=3, backward='summed')
HELD = (
    "SemiBaseDetector holds a LocalSingleStageDetector as 'student', where no "
    "optimizer wrapper can run local backwards: .*type to the plain model's.*"
    "local_learning.backward='summed'"
)


def detector(local_learning):
    return ConfigDict(
        copy.deepcopy(DETECTOR), type=LOCAL, local_learning=local_learning
    )


def semi_supervised(local_learning):
    build('detection')  # its scope
    torch.manual_seed(0)
    weights = ConfigDict(sup_weight=0.5, cls_pseudo_thr=1.1)  # no pseudo boxes
    model = MODELS.build(
        dict(
            type='SemiBaseDetector',
            detector=detector(local_learning),
            semi_train_cfg=weights,
            data_preprocessor=dict(
                type='MultiBranchDataPreprocessor',
                data_preprocessor=DETECTOR['data_preprocessor'],
            ),
        )
    )
    model.student.load_state_dict(
        build('detection', **local_learning).state_dict()
    )
    return model.train()


def branches():
    """A batch of labelled images, and another as teacher and student."""
    names = ('sup', 'unsup_teacher', 'unsup_student')
    batches = [raw_data('detection', batch_size=2) for _ in names]
    for sample in batches[1]['data_samples'] + batches[2]['data_samples']:
        sample.set_metainfo(dict(homography_matrix=torch.eye(3).numpy()))
    return {
        key: {n: b[key] for n, b in zip(names, batches)}
        for key in ('inputs', 'data_samples')
    }


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def untouched(model, before):
    same = all(v.equal(before[n]) for n, v in model.state_dict().items())
    return same and not any(
        g is not None and g.any() for g in gradients(model).values()
    )


@pytest.mark.parametrize(
    'wrapper, message',
    [
        (LocalLearningOptimWrapper, HELD),
        (AmpLocalLearningOptimWrapper, HELD),
        (OptimWrapper, r'LocalSingleStageDetector\.loss\(\).*not inside'),
    ],
)
def test_each_optimizer_wrapper_refuses_it(wrapper, message):
    model = semi_supervised(IMMEDIATE)
    before = copy.deepcopy(model.state_dict())
    amp = wrapper is AmpLocalLearningOptimWrapper
    options = dict(dtype='bfloat16') if amp else {}
    with pytest.raises(TypeError, match=message):
        model.train_step(branches(), wrapper(optimizer=sgd(model), **options))
    assert untouched(model, before)


def test_the_hook_and_the_model_wrapper_refuse_it(tmp_path):
    model = semi_supervised(IMMEDIATE)
    runner = make_runner(model, tmp_path, wrapper='OptimWrapper')
    with pytest.raises(TypeError, match=HELD):
        runner.train()
    with pytest.raises(TypeError, match=HELD):
        LocalDistributedDataParallel(model)


@pytest.mark.parametrize('local_learning', [SUMMED, dict(num_modules=1)])
def test_it_works_where_the_parent_propagates_all_losses(local_learning):
    """Weighed as the parent weighs its losses, local ones included."""
    alone = build('detection', **local_learning)
    batch = data(alone, 'detection', batch_size=2)
    alone.parse_losses(bare_loss(alone, batch))[0].backward()
    model = semi_supervised(local_learning)
    wrapper = OptimWrapper(sgd(model), accumulative_counts=4)
    wrapper.initialize_count_status(model, 0, 8)
    model.train_step(branches(), wrapper)
    for name, grad in gradients(model.student).items():
        expected = gradients(alone)[name] * 0.5 / 4
        torch.testing.assert_close(grad, expected, rtol=1e-4, atol=1e-7)


def test_what_follows_a_step_is_missed_in_every_wrapper():
    man = dict(type='mmfba.MANAuxiliary', host=dict(type='mmfba.FBAAuxiliary'))
    man['host'].update(
        neck=dict(type='mmfba.ConvLevel'),
        head=dict(type='mmfba.TaskHead', stacked_convs=2),
    )
    model = semi_supervised(dict(SUMMED, partition='stage', auxiliary=man))
    for cls in (OptimWrapper, LocalLearningOptimWrapper):
        with pytest.raises(TypeError, match='call what MANAuxiliary') as error:
            model.train_step(branches(), cls(optimizer=sgd(model)))
        assert 'summed' not in str(error.value)


def test_a_teacher_that_its_parent_hides():
    build('detection')
    parts = {k: DETECTOR[k] for k in ('backbone', 'neck', 'bbox_head')}
    model = MODELS.build(
        dict(
            type='KnowledgeDistillationSingleStageDetector',
            teacher_config=dict(model=detector(IMMEDIATE)),
            train_cfg=DETECTOR['train_cfg'],
            **copy.deepcopy(parts),
        )
    )
    wrapper = LocalLearningOptimWrapper(sgd(model))
    message = r"KnowledgeDistillation\w+ holds .* as 'teacher_model'"
    with pytest.raises(TypeError, match=message):
        model.train_step(raw_data('detection'), wrapper)


@pytest.mark.parametrize('task', ['classification', 'super-resolution'])
def test_models_of_other_libraries_are_named_too(task):
    class Parent(BaseModel):
        def forward(self, inputs, data_samples=None, mode='tensor'):
            return self.parts[0](inputs, data_samples, mode=mode)

    local = build(task, **IMMEDIATE)
    parent = Parent(local.data_preprocessor)
    parent.parts = torch.nn.ModuleList([local])
    wrappers = dict(
        {r"Parent holds a Local\w+ as 'parts\.0'": LocalLearningOptimWrapper},
        **{r'Local\w+\.loss\(\) was called': OptimWrapper},
    )
    for message, cls in wrappers.items():
        with pytest.raises(TypeError, match=message):
            parent.train_step(raw_data(task), cls(sgd(parent)))


@pytest.mark.parametrize('training', [True, False])
def test_a_bare_loss_says_what_to_set(training):
    model = build('detection', chunk=1, num_modules=1).train(training)
    batch = data(model, 'detection')
    words = (
        r'optim_wrapper\.type=.mmfba\.LocalLearningOptimWrapper.*'
        r'with model\.learner\.lend_backward\(torch\.Tensor\.backward\)'
    )
    with pytest.raises(TypeError, match=words):
        model(**batch, mode='loss')
    several = OptimWrapperDict(whole=OptimWrapper(sgd(model)))
    with pytest.raises(TypeError, match='OptimWrapperDict.*LocalLearning'):
        model.train_step(raw_data('detection'), several)

# Copyright (c) mmfba authors.
"""What must hold in two processes; see multi_gpu.sh."""

import logging
import os
import statistics
import sys
import time
from datetime import timedelta

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.registry import init_default_scope
from overlap_arms import ARMS, Arm, overlap_config

from mmfba.analysis.benchmark import ArmRun
from mmfba.analysis.synthetic import slice_batch
from mmfba.engine.model_wrappers import LocalDistributedDataParallel
from mmfba.engine.optim_wrappers import AmpLocalLearningOptimWrapper
from mmfba.local_config import complete

EDSR = 'configs/fba/fba-k4_edsr_x2c64b16_1xb16-300k_div2k.py'
RESNET = 'configs/fba/fba-k16_resnet32_1xb128-2e_fashion-mnist.py'


def main(backend: str) -> None:
    """Run the checks; the first that fails ends them."""
    logging.disable(logging.WARNING)  # lines of MMEngine for each weight
    dist.init_process_group(backend, timeout=timedelta(minutes=5))
    device = 'cpu'
    if backend == 'nccl':
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        device = 'cuda'
    check_equality(EDSR, device)
    say('gradients of EDSR equal those of one process on the whole batch')
    if device == 'cuda':
        check_equality(RESNET, device, torch.nn.SyncBatchNorm)
        say('so do those of ResNet-32 with SyncBatchNorm')
    else:
        say('SyncBatchNorm: not run, it needs GPUs')
    check_mixed_precision(device)
    say('an overflow in one process skips the step of both')
    measure_overlap(device)
    dist.barrier()
    os._exit(0)  # without destructors, which can wait for each other


def say(text: str) -> None:
    """Print, once."""
    if dist.get_rank() == 0:
        print(text, flush=True)


def make_run(config: str, device: str, batch: int = 8) -> ArmRun:
    """A local model with a batch of 32x32 pixels."""
    cfg = Config.fromfile(config)
    complete(cfg)
    init_default_scope(cfg.default_scope)
    return ArmRun(cfg, 'local', batch, (32, 32), device)


def backward(run: ArmRun, net: torch.nn.Module, batch) -> None:
    """One backward, local ones included, without a step."""
    with run.optim_wrapper.optim_context(net):
        total, _ = run.model.parse_losses(net(*batch, mode='loss'))
    run.optim_wrapper.backward(total)


def check_equality(config: str, device: str, sync_norm=None) -> None:
    """Of gradients, and of the processes' weights after a few steps."""
    whole, run = make_run(config, device), make_run(config, device)
    backward(whole, whole.model, whole.batch)
    if sync_norm is not None:
        run.model = sync_norm.convert_sync_batchnorm(run.model)
    ddp = LocalDistributedDataParallel(run.model, bucket_cap_mb=0.1)
    half = len(run.batch[0]) // 2
    rows = slice(half * dist.get_rank(), half * (dist.get_rank() + 1))
    batch = slice_batch(run.batch, rows)
    backward(run, ddp, batch)
    expected = dict(whole.model.named_parameters())
    for name, p in run.model.named_parameters():
        other = expected[name].grad
        scale = other.abs().max().item()
        torch.testing.assert_close(
            p.grad, other, rtol=1e-3, atol=1e-4 * scale, msg=name
        )
    for _ in range(3):
        run.optim_wrapper.step()
        run.optim_wrapper.zero_grad()
        backward(run, ddp, batch)
    check_same_weights(run.model)


def check_same_weights(model: torch.nn.Module) -> None:
    """In both processes, bit for bit."""
    for name, p in model.named_parameters():
        both = [torch.empty_like(p) for _ in range(2)]
        dist.all_gather(both, p.detach().contiguous())
        assert torch.equal(*both), name


def check_mixed_precision(device: str) -> None:
    """With a gradient scaler; an overflow in one process counts in both."""
    run = make_run(EDSR, device)
    run.optim_wrapper = wrapper = AmpLocalLearningOptimWrapper(
        optimizer=torch.optim.SGD(run.model.parameters(), lr=1e-3),
        dtype='float16' if device == 'cuda' else 'bfloat16',
    )
    wrapper.loss_scaler = torch.amp.GradScaler(device, init_scale=8.0)
    ddp = LocalDistributedDataParallel(run.model)
    early = next(run.model.parameters())
    before = early.detach().clone()
    factor = float('inf') if dist.get_rank() == 0 else 1.0
    hook = early.register_hook(lambda grad: grad * factor)
    for _ in range(2):
        with wrapper.optim_context(ddp):
            losses = ddp(*run.batch, mode='loss')
            total, _ = run.model.parse_losses(losses)
        wrapper.update_params(total)
        assert wrapper.loss_scaler.get_scale() == 4
        if hook is not None:
            assert early.equal(before)
            hook.remove()
            hook = None
    assert not early.equal(before)
    check_same_weights(run.model)


def measure_overlap(device: str) -> None:
    """Steps of all ways in turn, whose losses reduce among gradients."""
    gpu = device == 'cuda'
    size, steps = (512, 20) if gpu else (128, 1)
    cfg = overlap_config()
    arms = [Arm(name, cfg, 2, (size, size), device) for name in ARMS]
    for step in range(steps + 3 * gpu):
        for arm in arms:
            dist.barrier()
            start = time.perf_counter()
            arm.step()
            if gpu:
                torch.cuda.synchronize()
            if step >= 3 * gpu:
                arm.seconds.append(time.perf_counter() - start)
    first = statistics.median(arms[0].seconds)
    for arm in arms:
        median = statistics.median(arm.seconds)
        times = f'{1e3 * median:.1f} ms, {median / first:.2f} of the first'
        say(f'{arm.name}: {times if gpu else "a step runs"}')
    check_same_weights(arms[-1].run.model)


if __name__ == '__main__':
    main(sys.argv[1])

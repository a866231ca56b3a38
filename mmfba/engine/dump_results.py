# Copyright (c) mmfba authors.
from typing import Any, Dict, Optional

import mmengine
from mmengine.dist import master_only
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.registry import METRICS
from mmengine.runner import Runner

from mmfba.analysis.library_of import library_of


def dump_results(runner: Runner, out: str, item: Optional[str] = None) -> None:
    """Let a Runner write to a file what a test gives.

    Args:
        runner (Runner): A Runner that has not tested yet.
        out (str): Path of the file. Predictions are pickled.
        item (str, optional): ``'pred'`` or ``'metrics'``. Defaults to None,
            what the library's own tools/test.py writes: metrics in mmagic,
            else predictions, in mmdet without the ground truth.
    """
    known = (library_of(type(part)) for part in runner.model.modules())
    library = next(filter(None, known), None)
    if item is None:
        item = 'metrics' if library == 'mmagic' else 'pred'
    if item == 'metrics':
        runner.register_hook(_DumpMetrics(out), 'LOWEST')
        return
    evaluator = getattr(runner.test_loop, 'evaluator', None)
    if type(evaluator) is not Evaluator:
        raise ValueError(
            f'--out {out}: predictions need a test loop with the Evaluator of '
            'MMEngine, and configs of mmagic have their own: write the '
            'metrics by --out-item metrics'
        )
    kind = 'mmdet.DumpDetResults' if library == 'mmdet' else 'DumpResults'
    dump = METRICS.build(dict(type=kind, out_file_path=out))
    evaluator.metrics.append(dump)


class _DumpMetrics(Hook):
    def __init__(self, out: str) -> None:
        self.out = out

    @master_only
    def after_test_epoch(
        self, runner: Runner, metrics: Optional[Dict[str, Any]] = None
    ) -> None:
        mmengine.dump(metrics, self.out)

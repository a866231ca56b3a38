# Copyright (c) mmfba authors.
import numpy as np
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

SIZE = 2


def probe_input(feature: Tensor) -> Tensor:
    """What a probe sees of a feature: it averaged to 2x2 pixels, (N, 4 C).

    So the probe has few weights whatever the resolution, and the global
    average that a classifier of the network would see is still a linear
    function of its input.
    """
    return F.adaptive_avg_pool2d(feature, SIZE).flatten(1)


def probe_accuracy(inputs: np.ndarray, labels: np.ndarray) -> float:
    """Linear separability: accuracy of a linear probe in percent.

    A logistic regression of the standardised inputs (N, D) (L2, scikit-learn's
    defaults) is trained on the images of even index and tested on the others;
    `Understanding intermediate layers using linear classifier probes
    <https://arxiv.org/abs/1610.01644>`_.
    """
    probe = make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=1000)
    ).fit(inputs[::2], labels[::2])
    return 100 * float(probe.score(inputs[1::2], labels[1::2]))

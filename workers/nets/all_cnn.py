"""All-CNN with BatchNorm, as Boundary Unlearning uses it."""

from collections import OrderedDict
from typing import Annotated

from annotated_types import Gt, Le
from torch import nn

LAYERS = ((96, 3, 1), (96, 3, 1), (192, 3, 2), (192, 3, 1), (192, 3, 1), (192, 3, 2))
LAST = ((192, 3, 1), (192, 1, 1))
"""(filters at full width, kernel, stride)."""


def all_cnn(
    classes: int, in_channels: int, width: Annotated[float, Gt(0), Le(4)] = 1.0
) -> nn.Module:
    """Eight convolutions with BatchNorm and ReLU, the mean over the picture, a linear layer.

    `width` scales the 96 and 192 filters; 0.5 is the net of the Boundary Unlearning code.

    Source: Springenberg et al., "Striving for Simplicity: The All Convolutional Net", ICLR 2015
    workshop, arXiv:1412.6806; with BatchNorm as in Golatkar et al., CVPR 2020.
    """
    features, inputs = nn.Sequential(), in_channels
    for filters, kernel, stride in (*LAYERS, *LAST):
        outputs = max(1, round(filters * width))
        features.append(
            nn.Sequential(
                nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            )
        )
        inputs = outputs
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["features"] = features
    parts["pool"] = nn.AdaptiveAvgPool2d(1)
    parts["flatten"] = nn.Flatten()
    parts["classifier"] = nn.Linear(inputs, classes)
    return nn.Sequential(parts)

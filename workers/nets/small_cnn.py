"""A small net for small pictures, such as digits of 8 x 8 pixels."""

from typing import Annotated

from annotated_types import Ge, Le
from torch import nn


def small_cnn(
    classes: int, in_channels: int, filters: Annotated[int, Ge(1), Le(1024)] = 32
) -> nn.Module:
    """Three convolutions with BatchNorm and ReLU, the mean over the picture, a linear layer.

    Source: our own; the All-CNN recipe (Springenberg et al. 2015) cut down to three layers.
    """
    widths = (in_channels, filters, 2 * filters, 2 * filters)
    net = nn.Sequential()
    for inputs, outputs, stride in zip(widths, widths[1:], (1, 2, 1), strict=False):
        net.append(nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False))
        net.append(nn.BatchNorm2d(outputs))
        net.append(nn.ReLU(inplace=True))
    net.append(nn.AdaptiveAvgPool2d(1))
    net.append(nn.Flatten())
    net.append(nn.Linear(widths[-1], classes))
    return net

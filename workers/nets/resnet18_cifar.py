"""ResNet-18 for pictures of 32 x 32 pixels, as Unlearn-Sparse uses it."""

from torch import nn
from torchvision.models import resnet18


def resnet18_cifar(classes: int, in_channels: int) -> nn.Module:
    """ResNet-18 whose first convolution is 3 x 3 with stride 1, and without the first pooling.

    Weights have torchvision's names (`conv1`, `layer1.0.conv1`, ..., `fc`).

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; the changed stem
    as in Jia et al., "Model Sparsity Can Simplify Machine Unlearning", NeurIPS 2023.
    """
    net: nn.Module = resnet18(weights=None, num_classes=classes)
    net.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    return net

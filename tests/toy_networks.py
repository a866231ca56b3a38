# Copyright (c) mmfba authors.
"""Small networks of torch alone, each with a trap of real backbones."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Block(nn.Module):
    """A residual block."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return x + self.relu(self.norm(self.conv(x)))


class Pyramid(nn.Module):
    """Stages whose ends are outputs behind norms of their own, as Swin's."""

    def __init__(self, width=4, permuted=True):
        super().__init__()
        self.permuted = permuted
        self.conv1 = nn.Conv2d(3, width, 3, 2, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.stages = nn.ModuleList(
            nn.Sequential(Block(width * 2**i), Block(width * 2**i))
            for i in range(3)
        )
        self.downs = nn.ModuleList(
            nn.Conv2d(width * 2**i, width * 2 ** (i + 1), 3, 2, 1)
            for i in range(2)
        )
        for i in range(3):
            self.add_module(f'norm{i}', nn.GroupNorm(2, width * 2**i))

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        outs = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            out = getattr(self, f'norm{i}')(x)
            if self.permuted:
                out = out.permute(0, 2, 3, 1).contiguous()
            outs.append(out)
            if i < 2:
                x = self.downs[i](x)
        return tuple(outs)


class LongSkip(nn.Module):
    """A skip from the first conv past all blocks, as EDSR's."""

    def __init__(self, width=4, depth=5):
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.after = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x):
        x = self.first(x - 0.5)
        x = self.after(self.body(x)) + x
        return self.last(x) + 0.5


class Attention(nn.Module):
    """A residual block of tokens."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.mix = nn.Linear(channels, channels)

    def forward(self, x, shape):
        return x + self.mix(self.norm(x)), shape


class Tokens(nn.Module):
    """A class token and tokens of patches; blocks that return two things."""

    def __init__(self, channels=6, depth=5):
        super().__init__()
        self.embed = nn.Conv2d(3, channels, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, channels))
        self.layers = nn.ModuleList(Attention(channels) for _ in range(depth))
        self.norm = nn.LayerNorm(channels)

    def forward(self, x):
        x = self.embed(x)
        shape = tuple(x.shape[2:])
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1)
        for layer in self.layers:
            x, shape = layer(x, shape)
        return self.norm(x)[:, 0]


class Sometimes(LongSkip):
    """A block that may be skipped, run twice, or run without gradients."""

    how = 'once'

    def forward(self, x):
        x = self.first(x)
        for i, block in enumerate(self.body):
            if i != 2 or self.how == 'once':
                x = block(x)
            elif self.how == 'twice':
                x = block(block(x))
            elif self.how == 'reentrant':
                x = x.detach().requires_grad_()
                x = checkpoint(block, x, use_reentrant=True)
        return self.last(x)

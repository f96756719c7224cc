"""TinyViT, the small image encoder of MobileSAM.

Wu et al., "TinyViT: Fast Pretraining Distillation for Small Vision Transformers" (ECCV 2022), in the form that
Zhang et al., "Faster Segment Anything" (2023) distilled from SAM's ViT-H: the last stage keeps its resolution, and
SAM's neck follows it. Modules are named so that the official `mobile_sam.pt` loads as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

WIDTHS = (64, 128, 160, 320)
DEPTHS = (2, 2, 6, 2)
HEADS = (2, 4, 5, 10)
WINDOWS = (7, 7, 14, 7)
STRIDES = (2, 2, 1)  # of the step from each stage to the next
EXPANSION = 4


class ConvNorm(nn.Sequential):
    """A convolution without bias and its batch norm; [B, C, H, W] to [B, C', H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1):
        super().__init__()
        self.c = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)


class PatchEmbedding(nn.Module):
    """Two strided convolutions: images [B, 3, H, W] to patches [B, C, H / 4, W / 4]."""

    def __init__(self, width: int):
        super().__init__()
        self.seq = nn.Sequential(ConvNorm(3, width // 2, 3, 2), nn.GELU(), ConvNorm(width // 2, width, 3, 2))

    def forward(self, image: Tensor) -> Tensor:
        """Embed images."""
        return self.seq(image)


class InvertedBottleneck(nn.Module):
    """MobileNet's block, for the first stage: widen, convolve each channel, narrow, add."""

    def __init__(self, width: int):
        super().__init__()
        hidden = width * EXPANSION
        self.conv1 = ConvNorm(width, hidden)
        self.conv2 = ConvNorm(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvNorm(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        return F.gelu(x + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x))))))


class Merging(nn.Module):
    """The step between two stages: [B, C, H, W] to [B, C', H / stride, W / stride]."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs)
        self.conv2 = ConvNorm(outputs, outputs, 3, stride, groups=outputs)
        self.conv3 = ConvNorm(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map to the next stage's width and resolution."""
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


class WindowAttention(nn.Module):
    """Self-attention inside a square window, with a learned bias for each distance in rows and columns."""

    bias_index: Tensor

    def __init__(self, width: int, heads: int, window: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        row, column = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
        row, column = row.flatten(), column.flatten()
        index = (row[:, None] - row).abs() * window + (column[:, None] - column).abs()
        self.register_buffer("bias_index", index, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map the tokens of windows, [windows, tokens, C], to the same shape."""
        windows, tokens, width = x.shape
        qkv = self.qkv(self.norm(x)).view(windows, tokens, self.heads, -1).transpose(1, 2)
        query, key, value = qkv.chunk(3, dim=-1)
        bias = self.attention_biases[:, self.bias_index]
        x = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[None])
        return self.proj(x.transpose(1, 2).reshape(windows, tokens, width))


class Perceptron(nn.Module):
    """Layer norm and a two-layer perceptron; [..., C] to [..., C]."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, width * EXPANSION)
        self.fc2 = nn.Linear(width * EXPANSION, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens one by one."""
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class Block(nn.Module):
    """Attention in windows, a convolution across their borders, a perceptron."""

    def __init__(self, width: int, heads: int, window: int):
        super().__init__()
        self.window = window
        self.attn = WindowAttention(width, heads, window)
        self.local_conv = ConvNorm(width, width, 3, groups=width)
        self.mlp = Perceptron(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        x = x + self._attend(x)
        x = self.local_conv(x).permute(0, 2, 3, 1)
        return (x + self.mlp(x)).permute(0, 3, 1, 2)

    def _attend(self, x: Tensor) -> Tensor:
        batch, width, height, length = x.shape
        size = self.window
        x = F.pad(x, (0, -length % size, 0, -height % size))
        rows, columns = x.shape[2] // size, x.shape[3] // size
        windows = x.view(batch, width, rows, size, columns, size).permute(0, 2, 4, 3, 5, 1)
        attended = self.attn(windows.reshape(-1, size * size, width))
        x = attended.view(batch, rows, columns, size, size, width).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(batch, width, rows * size, columns * size)[:, :, :height, :length]


class Stage(nn.Module):
    """Blocks at one resolution, and the step to the next one."""

    def __init__(self, blocks: Sequence[nn.Module], downsample: nn.Module | None):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the input of the next stage."""
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class TinyViT(nn.Module):
    """MobileSAM's image encoder, to be used in segment-anything's `Sam`.

    Args:
        image_size: side of the square input in pixels, a multiple of 16.
    """

    def __init__(self, image_size: int = 1024):
        super().__init__()
        self.img_size = image_size  # the name that Sam reads
        self.patch_embed = PatchEmbedding(WIDTHS[0])
        stages = []
        for index, (width, depth, heads, window) in enumerate(zip(WIDTHS, DEPTHS, HEADS, WINDOWS, strict=True)):
            blocks = [Block(width, heads, window) if index else InvertedBottleneck(width) for _ in range(depth)]
            last = index == len(WIDTHS) - 1
            stages.append(Stage(blocks, None if last else Merging(width, WIDTHS[index + 1], STRIDES[index])))
        self.layers = nn.ModuleList(stages)
        self.neck = nn.Sequential(
            nn.Conv2d(WIDTHS[-1], 256, 1, bias=False),
            LayerNorm2d(256),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            LayerNorm2d(256),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Encode images.

        Args:
            image: [B, 3, image_size, image_size] float, normalised as SAM does.

        Returns:
            [B, 256, image_size / 16, image_size / 16] image embedding.
        """
        x = self.patch_embed(image)
        for stage in self.layers:
            x = stage(x)
        return self.neck(x)

"""A small causal transformer: pre-norm, learned positions, the embedding tied to the output."""

import math

import torch
from torch import Tensor, nn

INITIAL_SD = 0.02


class CausalTransformer(nn.Module):
    """Maps token ids, shape (n, length), to logits of the token that follows each, shape (n, length, n_tokens).

    Args:
        n_tokens: of the vocabulary.
        context: the greatest length.
        width: of the embedding, divisible by `n_heads`.
        n_layers, n_heads: of the transformer.

    >>> CausalTransformer(10, context=8, width=16, n_layers=1, n_heads=2)(torch.zeros(3, 5, dtype=torch.int64)).shape
    torch.Size([3, 5, 10])
    """

    def __init__(self, n_tokens: int, *, context: int, width: int, n_layers: int, n_heads: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, width)
        self.positions = nn.Parameter(torch.empty(context, width))
        self.blocks = nn.Sequential(*(_Block(width, n_heads) for _ in range(n_layers)))
        self.norm = nn.LayerNorm(width)
        # Small, as the embedding is also the output layer: the first predictions are then nearly uniform.
        nn.init.normal_(self.embedding.weight, std=INITIAL_SD)
        nn.init.normal_(self.positions, std=INITIAL_SD)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits."""
        hidden = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        return nn.functional.linear(self.norm(self.blocks(hidden)), self.embedding.weight)


class _Block(nn.Module):
    """Attention and a feed-forward part, each added to what it was given."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), _CausalAttention(width, n_heads))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the hidden states, shape (n, length, width), of the next block."""
        attended: Tensor = hidden + self.attention(hidden)
        forwarded: Tensor = self.feed_forward(attended)
        return attended + forwarded


class _CausalAttention(nn.Module):
    """Each position looks at itself and those before it.

    Written out, as torch's fused attention has no second derivative, which measures of curvature need; at this length
    it is no faster.
    """

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        n, length, width = hidden.shape
        split = self.project_in(hidden).view(n, length, 3, self.n_heads, width // self.n_heads)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        scores = queries @ keys.transpose(-2, -1) / math.sqrt(width // self.n_heads)
        later = torch.full((length, length), -math.inf, device=hidden.device).triu(1)
        seen = (scores + later).softmax(dim=-1) @ values
        mixed: Tensor = self.project_out(seen.transpose(1, 2).reshape(n, length, width))
        return mixed

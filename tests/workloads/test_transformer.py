import math

import pytest
import torch
from torch import nn

from batchlab.workloads.transformer import CausalTransformer
from cases import reproducible


@pytest.fixture
def model():
    with reproducible(seed=0):
        return CausalTransformer(11, context=8, width=16, n_layers=2, n_heads=4)


@pytest.fixture
def tokens():
    return torch.randint(0, 11, (3, 8), generator=torch.Generator().manual_seed(0))


def test_no_position_sees_a_later_one(model, tokens):
    changed = tokens.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 11
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.isclose(before[:, 5:], after[:, 5:]).all(dim=-1).any()


def test_every_position_sees_the_first(model, tokens):
    changed = tokens.clone()
    changed[:, 0] = (changed[:, 0] + 1) % 11
    assert not torch.isclose(model(tokens), model(changed)).all(dim=-1).any()


def test_a_shorter_text_gets_the_same_logits(model, tokens):
    torch.testing.assert_close(model(tokens[:, :3]), model(tokens)[:, :3])


def test_attention_is_that_of_torch(model, tokens):
    attention = model.blocks[0].attention[1]
    hidden = torch.randn(3, 8, 16, generator=torch.Generator().manual_seed(1))
    theirs = nn.MultiheadAttention(16, 4, batch_first=True)
    theirs.in_proj_weight, theirs.in_proj_bias = attention.project_in.weight, attention.project_in.bias
    theirs.out_proj = attention.project_out
    mask = nn.Transformer.generate_square_subsequent_mask(8)
    expected, _ = theirs(hidden, hidden, hidden, attn_mask=mask, is_causal=True, need_weights=False)
    torch.testing.assert_close(attention(hidden), expected)


def test_the_first_predictions_are_nearly_uniform(model, tokens):
    logits = model(tokens)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
    assert abs(float(loss.detach()) - math.log(11)) < 0.3


def test_the_embedding_is_the_output_layer(model):
    width, n_tokens, context = 16, 11, 8
    block = 4 * width + (3 + 1 + 4 + 4) * width**2 + (3 + 1 + 4 + 1) * width
    assert sum(p.numel() for p in model.parameters()) == (n_tokens + context) * width + 2 * block + 2 * width


def test_its_loss_has_a_second_derivative(model, tokens):
    loss = model(tokens).square().mean()
    weight = model.blocks[0].attention[1].project_in.weight
    (gradient,) = torch.autograd.grad(loss, weight, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), weight)
    assert torch.isfinite(second).all() and second.abs().sum() > 0

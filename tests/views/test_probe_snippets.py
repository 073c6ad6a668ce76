from types import SimpleNamespace

from batchlab.views.probe_snippets import snippets


def found(warmup_steps):
    advice = SimpleNamespace(
        micro_batch_size=64, gradient_accumulation_steps=1, learning_rate=0.05, warmup_steps=warmup_steps
    )
    return snippets(SimpleNamespace(recommendation=advice, optimizer="sgd"))


def test_every_framework_has_lines_with_the_size_and_the_rate():
    lines = found(0)
    assert list(lines) == ["PyTorch", "Lightning", "Transformers", "Accelerate"]
    assert all("64" in text and "0.05" in text for text in lines.values())
    assert "LinearLR" not in lines["PyTorch"]


def test_a_warm_up_is_a_scheduler():
    assert "LinearLR(optimizer, start_factor=1 / 20, total_iters=20)" in found(20)["PyTorch"]

"""Controls of the whole protocol, small: search, choice, confirmation and verdict on worlds whose truth is known.

The full ones, on real training, are in `benchmarks/controls.py`.
"""

from batchlab.analyze.findings import Answer
from batchlab.analyze.study import analyze_study
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from simulated import INFO, InstantExecutor, World, spec

ARMS = (8, 16, 32, 64, 128, 256, 512, 1024)


def answer(world: World, seed: int, **changes: object) -> Answer:
    """Return the answer of one tuned study in the world, with its own base seed."""
    question = spec(batch_sizes=ARMS, seed=seed, **changes)
    executor = InstantExecutor(world.result)
    record = run_study(question, INFO, name="s", store=MemoryStore(), executor=executor, progress=Quiet())
    return analyze_study(record).answer


def test_equal_arms_that_each_tune_their_own_rate_are_seldom_called_different() -> None:
    """n = 60, expected 3 false claims at 5 %: more than 9 would come by chance once in 1,000."""
    world = World({32: 0.02}, noise=0.002)
    claims = sum(answer(world, seed, same_batch_size=32).worse_batch_sizes != () for seed in range(60))
    assert claims <= 9


def test_without_signal_no_batch_size_is_recommended() -> None:
    """n = 30, expected at most 1.5: more than 6 would come by chance once in 1,000."""
    world = World(dict.fromkeys(ARMS, 0.9), noise=0.02, best_rate=lambda _: 0.1, curvature=0.0)
    claims = sum(answer(world, seed).verdict != "no-signal" for seed in range(30))
    assert claims <= 6


def test_a_true_best_is_kept_and_clear_losers_are_named() -> None:
    """n = 15; the best is lost with probability below .05: more than 4 would come by chance once in 1,500."""
    floors = {size: 0.02 if size == 64 else 0.04 for size in ARMS}
    answers = [answer(World(floors, noise=0.002), seed) for seed in range(15)]
    assert sum(64 in found.worse_batch_sizes for found in answers) <= 4
    assert all(len(found.worse_batch_sizes) >= 6 for found in answers)

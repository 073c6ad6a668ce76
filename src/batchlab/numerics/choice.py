"""The noise of choosing: what picking the best of a few settings that were tried adds to what is found there."""

import numpy
from numpy.typing import ArrayLike

N_DRAWS = 2000


def choice_variance(scores: ArrayLike, outcomes: ArrayLike, score_sds: ArrayLike, *, seed: int = 0) -> float:
    """Return the variance, over repetitions of a search, of the outcome at the setting that it picks.

    A bootstrap: a repetition tries n settings drawn with replacement from the n that were tried, sees their scores with
    the noise of N(s_j, σ_j²), and picks the lowest. Its parts are that other settings might have been tried (of n
    random ones the best is the one seen here in 63% of repetitions, the second in 23%, ...) and that a lucky one might
    have been picked. Settings count as drawn at random; evener ones vary less, and outcomes with noise of their own
    add it, so that the variance is rather too large.

    Args:
        scores: s, shape (settings,), by which one is picked, lower is better; infinite where a setting cannot be.
        outcomes: shape (settings,), of what the choice is for; not looked at where the score is infinite.
        score_sds: σ, shape (settings,).
        seed: of the 2,000 repetitions.

    >>> choice_variance([0.0, 1.0], [5.0, 5.0], [0.1, 0.1])
    0.0
    """
    s, y, sd = (numpy.asarray(column, dtype=float) for column in (scores, outcomes, score_sds))
    n, generator = len(s), numpy.random.default_rng(seed)
    tried = generator.multinomial(n, numpy.full(n, 1 / n), size=N_DRAWS) > 0
    seen = numpy.where(tried, s + sd * generator.standard_normal((N_DRAWS, n)), numpy.inf)
    picked = seen.argmin(axis=1)[numpy.isfinite(seen).any(axis=1)]
    return float(y[picked].var()) if len(picked) else 0.0

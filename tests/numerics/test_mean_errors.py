import numpy
import pytest

from batchlab.numerics.mean_errors import mean_errors


def quiet_and_one_noisy():
    generator = numpy.random.default_rng(3)
    return {8 * 2**place: generator.normal(size=6) * (20 if place == 1 else 1) for place in range(5)}


def test_alike_sizes_share_the_residual_variance():
    generator = numpy.random.default_rng(0)
    errors = mean_errors({size: generator.normal(size=5) for size in (8, 16, 32, 64)})
    assert not errors.noisy.any()
    assert set(errors.variances.tolist()) == {errors.fit.residual_variance}
    assert errors.of_difference(0, 1) == pytest.approx((2 * errors.fit.residual_variance / 5, 12))


def test_a_much_noisier_size_has_its_own_variance():
    errors = mean_errors(quiet_and_one_noisy())
    assert errors.noisy.tolist() == [False, True, False, False, False]
    assert errors.variances[1] == errors.fit.own_variances[1] > errors.variances[0]


def test_a_pair_with_a_noisy_size_has_few_degrees_of_freedom():
    errors = mean_errors(quiet_and_one_noisy())
    assert 5 <= errors.of_difference(0, 1)[1] < errors.of_difference(0, 2)[1] == 20


def test_extra_variances_add_up_and_carry_no_doubt():
    scores = {8: [1.0, 2.0, 4.0], 16: [1.5, 2.0, 3.0], 32: [1.1, 2.2, 3.0]}
    plain, plain_df = mean_errors(scores).of_difference(0, 2)
    variance, df = mean_errors(scores, {8: 1.0, 32: 2.0, 64: 5.0}).of_difference(0, 2)
    assert variance == pytest.approx(plain + 3.0)
    assert df > plain_df


def test_a_negative_extra_variance_is_refused():
    with pytest.raises(ValueError) as error:
        mean_errors({8: [1.0, 2.0], 16: [1.0, 2.0]}, {16: -0.1})
    assert str(error.value) == (
        "`extra_variance` must be finite and not negative, batch size 16 has -0.1; use 0.0 where there is none."
    )

"""Chance that is a function of seed and name: distributions, independence of company, and fixed bits."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.kernels.exact_chance import betas, gammas, gumbels, key_of, normal_quantiles, normals, uniforms

KEYS = np.array([key_of(f"item {n}") for n in range(20_000)], np.uint64)

OTHER = np.random.default_rng(1)


def alike(drawn, reference):
    """Two-sample Kolmogorov-Smirnov at about 1 in 10,000: the largest distance of the two distributions."""
    drawn, reference = np.sort(drawn), np.sort(reference)
    points = np.concatenate([drawn, reference])
    below = [np.searchsorted(each, points, side="right") / len(each) for each in (drawn, reference)]
    return np.abs(below[0] - below[1]).max() < 2.23 * np.sqrt(1 / len(drawn) + 1 / len(reference))


def test_uniforms_are_uniform_and_draws_are_independent():
    first, second = uniforms(7, KEYS, 0), uniforms(7, KEYS, 1)
    assert alike(first, OTHER.random(50_000))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs(np.corrcoef(first, uniforms(8, KEYS, 0))[0, 1]) < 0.03
    assert (first > 0).all() and (first < 1).all()


def test_one_item_of_many_seeds_is_uniform_too():
    drawn = [uniforms(seed, KEYS[:1], 3)[0] for seed in range(4000)]
    assert alike(drawn, OTHER.random(50_000))


def test_quantiles_are_those_of_the_normal_distribution():
    p = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 2001), [2.0**-54, 1e-300, 1 - 2.0**-53]])
    expected = [NormalDist().inv_cdf(each) for each in p.tolist()]
    assert np.allclose(normal_quantiles(p), expected, rtol=1e-13, atol=1e-14)


def test_normals_and_gumbels_follow_their_distributions():
    assert alike(normals(11, KEYS, 0), OTHER.normal(size=50_000))
    assert alike(gumbels(11, KEYS, 0), OTHER.gumbel(size=50_000))


@pytest.mark.parametrize("shape", [0.05, 0.4, 1.0, 1.7, 30.0, 4000.0])
def test_gammas_follow_their_distribution(shape):
    drawn = gammas(np.full(len(KEYS), shape), 5, KEYS, 0)
    assert alike(drawn, OTHER.gamma(shape, size=50_000))


@pytest.mark.parametrize(("a", "b"), [(0.3, 0.7), (1.0, 1.0), (2.5, 60.0), (900.0, 40.0)])
def test_betas_follow_their_distribution(a, b):
    drawn = betas(np.full(len(KEYS), a), np.full(len(KEYS), b), 3, KEYS)
    assert alike(drawn, OTHER.beta(a, b, size=50_000))


@given(st.integers(0, 2**64 - 1), st.sets(st.integers(0, 199), min_size=1))
def test_a_draw_does_not_depend_on_who_else_draws(seed, chosen):
    a, b = np.linspace(0.2, 9.0, 200), np.linspace(30.0, 0.5, 200)
    rows = np.array(sorted(chosen))
    alone = betas(a[rows], b[rows], seed, KEYS[rows])
    assert (alone == betas(a, b, seed, KEYS[:200])[rows]).all()


def test_the_bits_are_fixed():
    """What a recorded seed draws may never change: recorded decisions are recomputed with it."""
    keys = KEYS[:3]
    shape = np.array([0.5, 2.0, 50.0])
    assert [each.hex() for each in betas(shape, shape[::-1].copy(), 42, keys)] == FIXED


FIXED = ["0x1.d87b4865f71c1p-9", "0x1.fc8a8c5ba3ec7p-2", "0x1.f43506d4e9b42p-1"]

"""The stages before deep settle what they are sure of, within a stated agreement with deep alone."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import random_weights, write_tiny_model

from kimera.errors import UserError
from kimera.models import DEEP_MODEL, ContradictionHead, CrossEncoderWeights
from kimera.models.cross_encoder import CrossEncoder
from kimera.models.deep_base import DEEP_FINGERPRINT
from kimera.reactor import Reactor
from kimera.reactor_bounds import Bounds, StageBounds, find_bounds
from kimera.reactor_settings import ReactorSettings, of_stages
from kimera.shipped_weights import SHIPPED_BOUNDS, SHIPPED_CROSS_ENCODER, SHIPPED_DEEP, SHIPPED_HEAD

PAIRS = [
    ("A man is sleeping on a sofa.", "A man is running a marathon."),
    ("A man is sleeping on a sofa.", "A person is asleep."),
    ("Two children play football in the park.", "Nobody is in the park."),
    ("Two children play football in the park.", "Kids are playing outside."),
    ("", "An empty text."),
]


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> CrossEncoder:
    folder = write_tiny_model(tmp_path_factory.mktemp("deep"))
    return CrossEncoder(
        random_weights(folder), folder, precision="float32", cache_dir=tmp_path_factory.mktemp("cache")
    )


def bounded(deep: CrossEncoder, screen: Bounds, verify: Bounds) -> Reactor:
    anything = StageBounds(screen, verify, 0.99, {}, 1000, 0.5)
    return Reactor(cache=None, stages="screen,verify,deep", deep=deep, bounds=anything)


def test_what_ships_of_deep_goes_together() -> None:
    """Its weights are of the published base, and the bounds between the stages of the weights that ship."""
    deep = CrossEncoderWeights.load(SHIPPED_DEEP)
    assert (deep.base, deep.base_name) == (DEEP_FINGERPRINT, DEEP_MODEL)
    weights = {
        "screen": ContradictionHead.load(SHIPPED_HEAD),
        "verify": CrossEncoderWeights.load(SHIPPED_CROSS_ENCODER),
        "deep": deep,
    }
    bounds = StageBounds.load(SHIPPED_BOUNDS)
    bounds.require({stage: part.fingerprint for stage, part in weights.items()})
    assert set(bounds.weights) == set(weights)
    card = SHIPPED_DEEP.with_name("DEEP_CARD.md").read_text(encoding="utf-8")
    assert sha256(SHIPPED_DEEP.read_bytes()).hexdigest() in card


def test_deep_alone_decides_on_every_pair(deep: CrossEncoder) -> None:
    outcomes = Reactor(cache=None, stages="deep", deep=deep).detect(PAIRS)
    assert [outcome.score for outcome in outcomes[:4]] == deep.predict(PAIRS[:4])[:, 0].tolist()
    assert outcomes[0].reasoning.startswith("deep: P(contradiction) ")
    assert outcomes[4].kind == "empty_text"


def test_a_pair_has_the_score_of_the_stage_that_settled_it(deep: CrossEncoder) -> None:
    screen, verify = (
        [outcome.score for outcome in Reactor(cache=None, stages=stage).detect(PAIRS[:4])]
        for stage in ("screen", "verify")
    )
    low, high = sorted(screen)[0], sorted(verify)[-1]
    reactor = bounded(deep, Bounds(low + 1e-6, 1.0), Bounds(0.0, high - 1e-6))
    outcomes = reactor.detect(PAIRS)
    by_stage = {"screen": screen, "verify": verify, "deep": deep.predict(PAIRS[:4])[:, 0].tolist()}
    stages = [outcome.reasoning.partition(":")[0] for outcome in outcomes[:4]]
    assert sorted(stages) == ["deep", "deep", "screen", "verify"]
    for place, stage in enumerate(stages):
        assert outcomes[place].score == pytest.approx(by_stage[stage][place], abs=1e-6)
    assert reactor.counts["to_deep"] == 2
    assert reactor.settings["stages"] == "screen,verify,deep"
    assert set(reactor.fingerprints) == {
        "encoder",
        "head",
        "cross_encoder",
        "deep",
        "deep_base",
        "bounds",
        "long_texts",
    }
    assert reactor.settings["deep_base_from"] == "folder"


def test_what_is_too_long_for_verify_is_left_to_deep_by_bounds_that_settle_all(deep: CrossEncoder) -> None:
    """Those were found on short pairs, and the vectors that screen reads are cut."""
    long = (" ".join(f"Guest number {number} of the hotel saw a red lamp." for number in range(40)), "No.")
    for screen, verify, short in (
        (Bounds(1, 1), Bounds(0, 1), "screen"),
        (Bounds(0, 1), Bounds(1, 1), "verify"),
    ):
        reactor = bounded(deep, screen, verify)
        stages = [outcome.reasoning.partition(":")[0] for outcome in reactor.detect([PAIRS[0], long])]
        assert stages == [short, "deep"]
        assert reactor.counts["to_deep"] == 1


def test_progress_of_three_stages_reaches_its_end_once(deep: CrossEncoder) -> None:
    told: list[int] = []
    list(bounded(deep, Bounds(0, 1), Bounds(0, 1)).stream(PAIRS, on_progress=told.append))
    assert sum(told) == len(PAIRS)
    assert min(told) >= 0


def test_bounds_of_other_weights_are_refused(deep: CrossEncoder) -> None:
    other = StageBounds(Bounds(0, 1), Bounds(0, 1), 0.99, {"deep": "sha256:0"}, 1000, 0.5)
    with pytest.raises(UserError, match="found with other weights of deep"):
        Reactor(cache=None, stages="screen,verify,deep", deep=deep, bounds=other)


def test_weights_of_a_stage_that_is_not_used_are_refused(deep: CrossEncoder) -> None:
    with pytest.raises(
        UserError, match=r"weights of deep were given \(--deep-weights\), but only screen and verify are used"
    ):
        Reactor(cache=None, deep=deep)


def test_bounds_of_fewer_stages_are_refused() -> None:
    with pytest.raises(UserError, match="bounds apply to the stages screen, verify and deep together"):
        Reactor(cache=None, bounds=StageBounds(Bounds(0, 1), Bounds(0, 1), 0.99, {}, 1000, 0.5))


def test_a_single_stage_of_a_run_gets_no_weights_of_the_others() -> None:
    settings = ReactorSettings(deep_weights="deep.safetensors", head="head.safetensors", symmetric=True)
    assert of_stages(settings, "verify") == ReactorSettings(symmetric=True)
    assert of_stages(settings, "deep") == ReactorSettings(deep_weights="deep.safetensors", symmetric=True)
    assert of_stages(settings, "screen") == ReactorSettings(head="head.safetensors")


@given(st.integers(0, 10_000), st.sampled_from([0.9, 0.97, 0.99, 1.0]))
@settings(max_examples=40, deadline=None)
def test_what_a_stage_settles_agrees_with_deep_as_often_as_stated(seed: int, agreement: float) -> None:
    random = np.random.default_rng(seed)
    deep = random.random(400)
    verify, screen = (np.clip(deep + random.normal(0, noise, 400), 0, 1) for noise in (0.2, 0.4))
    found = find_bounds(screen, verify, deep, agreement, {})
    says = deep >= 0.5
    left = np.ones(400, bool)
    for scores, bounds in ((screen, found.screen), (verify, found.verify)):
        for settled, said in ((left & (scores < bounds.low), ~says), (left & (scores > bounds.high), says)):
            assert not settled.any() or said[settled].mean() >= agreement - 1e-9
        left &= ~bounds.settles(scores)
    assert found.to_deep == pytest.approx(left.mean())


def test_bounds_are_read_back_and_anything_else_is_refused(tmp_path: Path) -> None:
    bounds = StageBounds(Bounds(0.1, 0.9), Bounds(0.2, 0.8), 0.99, {"deep": "sha256:0"}, 1000, 0.25)
    bounds.save(tmp_path / "bounds.json")
    assert StageBounds.load(tmp_path / "bounds.json") == bounds
    assert replace(bounds, pairs=1).fingerprint == bounds.fingerprint
    (tmp_path / "bounds.json").write_text('{"screen": 3}')
    with pytest.raises(UserError, match="does not hold bounds"):
        StageBounds.load(tmp_path / "bounds.json")

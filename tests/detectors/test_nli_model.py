"""NLIModel: any fine-tuned encoder, and every score is the one that the library transformers would give."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from nli_models import ARCHITECTURES, LABELS, logits_of_transformers, pairs_of_words

from kimera.cache import MODELS, EmbeddingCache, default_folder
from kimera.detectors import COUNTED, NLIModel
from kimera.errors import UserError
from kimera.models.int8_parity import MIN_PARITY_PAIRS, PARITY_PAIRS
from kimera.models.passages import passage_pairs
from kimera.models.runtime import Backend, Precision
from kimera.pairs import EMPTY_TEXT, Failure, Verdict

PAIRS = pairs_of_words(150)
BACKENDS: tuple[Backend, ...] = ("onnx", "torch")


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def verdicts_of(
    detector: NLIModel, pairs: Sequence[tuple[str, str]], workers: int | None = None
) -> list[Verdict]:
    outcomes = detector.detect(pairs, workers)
    assert all(isinstance(outcome, Verdict) for outcome in outcomes)
    return [outcome for outcome in outcomes if isinstance(outcome, Verdict)]


def scores_of(detector: NLIModel, pairs: Sequence[tuple[str, str]], workers: int | None = None) -> np.ndarray:
    return np.array([verdict.score for verdict in verdicts_of(detector, pairs, workers)])


def auc(scores: np.ndarray, gold: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(gold, scores))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scores_are_those_of_transformers(nli_model: Callable[..., Path], architecture: str) -> None:
    folder = nli_model(architecture)
    expected = softmax(logits_of_transformers(folder, PAIRS))[:, LABELS[architecture][1]]
    for backend in BACKENDS:
        detector = NLIModel(folder, precision="float32", backend=backend, cache=None)
        verdicts = verdicts_of(detector, PAIRS)
        assert (detector.runtime.backend, detector.runtime.precision) == (backend, "float32")
        told = np.array([(verdict.score, verdict.entailment, verdict.neutral) for verdict in verdicts])
        assert np.abs(told - expected).max() < 1e-5
        gold = np.arange(len(PAIRS)) % 2
        assert auc(told[:, 0], gold) == pytest.approx(auc(expected[:, 0], gold), abs=1e-4)
        assert told[:, 0].std() > 0.1  # or the comparison would say little


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("bert", {"model_input_names": ["input_ids", "attention_mask"]}),
        ("bert", {"tokenizer_class": "PreTrainedTokenizerFast"}),
        ("albert", {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}),
        ("electra", {"tokenizer_class": "BertTokenizerFast"}),
    ],
)
def test_the_tokenizer_says_whether_the_network_is_told_whose_a_token_is(
    nli_model: Callable[..., Path], architecture: str, settings: dict[str, object]
) -> None:
    folder = nli_model(architecture, **settings)
    expected = softmax(logits_of_transformers(folder, PAIRS[:30]))[:, LABELS[architecture][1][0]]
    detector = NLIModel(folder, precision="float32", cache=None)
    assert np.abs(scores_of(detector, PAIRS[:30]) - expected).max() < 1e-5


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("architecture", ["bert", "albert", "deberta-v2", "modernbert"])
def test_a_score_does_not_depend_on_what_is_read_beside_it(
    nli_model: Callable[..., Path], architecture: str, precision: Precision
) -> None:
    detector = NLIModel(nli_model(architecture), precision=precision, cache=None)
    scores = scores_of(detector, PAIRS)
    assert detector.runtime.precision == precision
    order = np.random.default_rng(1).permutation(len(PAIRS))
    assert scores_of(detector, [PAIRS[place] for place in order]).tolist() == scores[order].tolist()
    assert [scores_of(detector, [pair])[0] for pair in PAIRS[:20]] == scores[:20].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "workers"), [("onnx", 2), ("torch", 1)])
def test_a_score_does_not_depend_on_how_many_workers_read(
    nli_model: Callable[..., Path], backend: Backend, workers: int
) -> None:
    pairs = pairs_of_words(1100, seed=5)
    with NLIModel(nli_model("roberta"), precision="float32", backend=backend, cache=None) as detector:
        alone = scores_of(detector, pairs)
        assert np.abs(scores_of(detector, pairs, workers=workers) - alone).max() < 1e-5
        assert detector.counts["workers_used"] == workers


def test_int8_is_taken_where_it_says_the_same(
    nli_model: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = nli_model("bert", seed=11)
    detector = NLIModel(folder, cache=None)
    assert detector.settings["precision"] == "int8, if it passes the check"
    detector.detect(PAIRS)
    assert detector.settings["precision"] == "int8"
    assert detector.settings["int8_parity"] >= 0.99
    assert detector.settings["int8_parity_pairs"] == len(PAIRS)
    assert f"{folder} runs on onnx in int8: int8 was compared with float32" in capsys.readouterr().err


@pytest.mark.parametrize("precision", [None, "int8"])
@pytest.mark.parametrize("architecture", ["bert", "deberta-v2"])
def test_float32_is_taken_where_one_channel_spoils_int8(
    nli_model: Callable[..., Path],
    architecture: str,
    precision: Precision | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = nli_model(architecture, outlier=1000.0, seed=1 if precision else 2)
    detector = NLIModel(folder, precision=precision, cache=None)
    scores = scores_of(detector, PAIRS)
    assert detector.settings["precision"] == "float32"
    assert detector.settings["int8_parity"] < 0.9
    expected = softmax(logits_of_transformers(folder, PAIRS))[:, LABELS[architecture][1][0]]
    assert np.abs(scores - expected).max() < 1e-4  # such a channel costs digits in float32 too
    assert f"{folder} runs on onnx in float32: int8 was compared" in capsys.readouterr().err


@pytest.mark.parametrize("outlier", [1.0, 300.0])
def test_a_run_that_goes_on_takes_what_the_first_one_took(
    nli_model: Callable[..., Path], outlier: float, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = nli_model("bert", outlier=outlier, seed=21)
    first = NLIModel(folder, cache=None)
    scores = scores_of(first, PAIRS)
    capsys.readouterr()
    again = NLIModel(folder, cache=None)
    assert again.settings == first.settings
    assert "an earlier run compared int8 with float32" in capsys.readouterr().err
    assert scores_of(again, PAIRS[140:]).tolist() == scores[140:].tolist()  # too few to check


def test_the_first_pairs_alone_decide(nli_model: Callable[..., Path]) -> None:
    pairs = pairs_of_words(PARITY_PAIRS + 200, seed=3)
    ahead, rest = pairs[:PARITY_PAIRS], pairs[PARITY_PAIRS:]
    found: list[dict[str, object]] = []
    for others in (rest, rest[::-1]):
        shutil.copytree(
            folder := nli_model("distilbert"), twin := folder.with_name(f"{folder.name}-{len(found)}")
        )
        (twin / "added.txt").write_text(str(len(found)))  # so that nothing is remembered of it
        detector = NLIModel(twin, cache=None)
        detector.detect([*ahead, ahead[0], ("", "x"), *others])
        found.append({name: value for name, value in detector.settings.items() if "int8" in name})
    assert found[0] == found[1]
    assert found[0]["int8_parity_pairs"] == PARITY_PAIRS


def test_few_pairs_are_no_check_and_nothing_is_remembered(
    nli_model: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = nli_model("bert", seed=31)
    for _ in range(2):
        detector = NLIModel(folder, cache=None)
        detector.detect(PAIRS[: MIN_PARITY_PAIRS - 1] * 3)
        assert detector.settings["precision"] == "float32"
        assert "too few to check int8" in capsys.readouterr().err


def test_two_outputs_are_contradiction_and_not(nli_model: Callable[..., Path]) -> None:
    folder = nli_model("bert", ("not_contradiction", "Contradiction"))
    expected = softmax(logits_of_transformers(folder, PAIRS[:20]))[:, 1]
    verdicts = verdicts_of(NLIModel(folder, precision="float32", cache=None), PAIRS[:20])
    assert [verdict.score for verdict in verdicts] == pytest.approx(expected, abs=1e-5)
    assert {(verdict.entailment, verdict.neutral) for verdict in verdicts} == {(None, None)}


def test_a_single_output_is_p_of_consistent_where_that_is_said(nli_model: Callable[..., Path]) -> None:
    folder = nli_model("bert", ("LABEL_0",))
    expected = 1 - 1 / (1 + np.exp(-logits_of_transformers(folder, PAIRS[:20])[:, 0]))
    detector = NLIModel(folder, labels=("consistent",), precision="float32", cache=None)
    assert scores_of(detector, PAIRS[:20]) == pytest.approx(expected, abs=1e-5)
    turned = NLIModel(folder, labels=("contradiction",), precision="float32", cache=None)
    assert scores_of(turned, PAIRS[:20]) == pytest.approx(1 - expected, abs=1e-5)
    by_itself = NLIModel(nli_model("bert", ("CONSISTENT",)), precision="float32", cache=None)
    assert by_itself.settings["labels"] == ["CONSISTENT"]


def test_labels_that_are_told_overrule_the_models_own(nli_model: Callable[..., Path]) -> None:
    folder = nli_model("bert", ("LABEL_0", "LABEL_1", "LABEL_2"))
    expected = softmax(logits_of_transformers(folder, PAIRS[:20]))[:, 2]
    for labels in (("entailment", "neutral", "contradiction"), "entailment, neutral, contradiction"):
        detector = NLIModel(folder, labels=labels, precision="float32", cache=None)
        assert scores_of(detector, PAIRS[:20]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("names", "told", "message"),
    [
        (("LABEL_0", "LABEL_1", "LABEL_2"), None, "such as --labels contradiction,entailment,neutral"),
        (("negative", "positive"), None, "--labels not_contradiction,contradiction"),
        (("entailment", "not_entailment"), None, "no contradiction detector"),
        (("LABEL_0",), None, "--labels consistent"),
        (("contradiction", "contradictory", "neutral"), None, "only one may"),
        (("a", "b", "c"), ("contradiction", "neutral"), "has 3 outputs"),
        (("a", "b"), ("yes", "no"), "does not say which one is contradiction"),
    ],
)
def test_what_leaves_open_which_output_is_contradiction_is_refused(
    nli_model: Callable[..., Path], names: tuple[str, ...], told: tuple[str, ...] | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        NLIModel(nli_model("bert", names), labels=told)


def test_a_two_way_model_is_taken_where_the_user_says_so(nli_model: Callable[..., Path]) -> None:
    folder = nli_model("bert", ("entailment", "not_entailment"))
    detector = NLIModel(folder, labels=("entailment", "contradiction"), precision="float32", cache=None)
    [verdict] = verdicts_of(detector, PAIRS[:1])
    assert verdict.score + (verdict.entailment or 0) == pytest.approx(1.0)


def test_long_texts_are_read_passage_by_passage(nli_model: Callable[..., Path]) -> None:
    pairs = [("The dog sleeps. A man reads a book. " * 5, "The door is red. Some child sings. " * 5)]
    detector = NLIModel(nli_model("roberta"), precision="float32", cache=None)
    [verdict] = verdicts_of(detector, pairs)
    assert verdict.score == pytest.approx(scores_of(detector, passage_pairs(pairs[0])).max(), abs=1e-6)
    assert verdict.score_source == "passages"
    assert "too long to be read at once" in verdict.reasoning


def test_a_sign_that_is_written_out_as_many_tokens_counts_as_many(nli_model: Callable[..., Path]) -> None:
    hour = "\u33c2" * 19  # each is three bytes, and the four tokens of a.m. once it is normalised
    detector = NLIModel(nli_model("xlm-roberta"), precision="float32", cache=None)
    [verdict] = verdicts_of(detector, [(hour, "a")])
    assert verdict.score_source == "passages"


def test_both_orders_count_where_symmetric(nli_model: Callable[..., Path]) -> None:
    plain = NLIModel(nli_model("bert"), precision="float32", cache=None)
    both = NLIModel(nli_model("bert"), precision="float32", cache=None, symmetric=True)
    turned = [(second, first) for first, second in PAIRS[:20]]
    mean = (scores_of(plain, PAIRS[:20]) + scores_of(plain, turned)) / 2
    assert scores_of(both, PAIRS[:20]) == pytest.approx(mean, abs=1e-6)


def test_what_was_read_before_comes_from_the_cache(nli_model: Callable[..., Path], tmp_path: Path) -> None:
    folder = nli_model("bert")
    for read in (20, 0):
        detector = NLIModel(folder, precision="float32", cache=EmbeddingCache(tmp_path))
        detector.detect(PAIRS[:20])
        assert (detector.counts["read"], detector.counts["read_from_cache"]) == (read, 20 - read)
    other = NLIModel(nli_model("bert", seed=1), precision="float32", cache=EmbeddingCache(tmp_path))
    other.detect(PAIRS[:20])
    assert other.counts["read"] == 20


def test_an_empty_text_and_a_damaged_network_are_failures(
    nli_model: Callable[..., Path], tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    detector = NLIModel(nli_model("bert"), precision="float32", cache=None)
    assert detector.detect([("", "a dog"), PAIRS[0]])[0] == EMPTY_TEXT
    shutil.copytree(nli_model("bert"), folder := tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.bias"][:] = np.nan
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    [failure] = NLIModel(folder, backend="torch", cache=None).detect(PAIRS[:1])
    assert isinstance(failure, Failure)
    assert failure.kind == "not_a_number"


def test_it_tells_what_a_run_asks_of_a_detector(nli_model: Callable[..., Path]) -> None:
    card = "---\ndatasets:\n- nyu-mll/multi_nli\n- snli\n---\n# A model\n"
    detector = NLIModel(nli_model("bert", card=card), precision="float32", cache=None)
    assert detector.trained_on == ["nyu-mll/multi_nli", "snli"]
    assert NLIModel(nli_model("bert")).trained_on is None
    assert NLIModel(nli_model("bert", card="---\ndatasets: [\n---\n")).trained_on is None
    assert json.loads(json.dumps(detector.settings)) == detector.settings
    assert not set(COUNTED) & set(detector.settings)
    progress: list[int] = []
    list(detector.stream(PAIRS[:30], on_progress=progress.append))
    assert sum(progress) == 30
    assert set(detector.counts) <= {*COUNTED, "workers_used"}


def test_a_cross_encoder_of_sentence_transformers_is_one_too(
    nli_model: Callable[..., Path], tmp_path: Path
) -> None:
    from sentence_transformers import CrossEncoder

    theirs = CrossEncoder(str(nli_model("bert")), device="cpu")
    theirs.save_pretrained(str(tmp_path / "model"))
    expected = theirs.predict(PAIRS[:40], apply_softmax=True)[:, 0]
    detector = NLIModel(tmp_path / "model", precision="float32", cache=None)
    assert np.abs(scores_of(detector, PAIRS[:40]) - expected).max() < 1e-5


def test_too_few_pairs_settle_nothing_for_the_calls_that_follow(
    nli_model: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = nli_model("bert", seed=41)
    exact = scores_of(NLIModel(folder, precision="float32", cache=None), PAIRS)
    detector = NLIModel(folder, cache=None)
    for place in range(3):
        assert scores_of(detector, PAIRS[place : place + 10]).tolist() == exact[place : place + 10].tolist()
    assert capsys.readouterr().err.count("too few to check int8") == 1
    begun = detector.stream(PAIRS[:20])
    first = next(begun)
    rounded = scores_of(detector, PAIRS)
    assert detector.settings["precision"] == "int8"
    assert (rounded != exact).any()
    assert isinstance(first, Verdict)
    assert scores_of(detector, PAIRS[:10]).tolist() == rounded[:10].tolist()


def test_fingerprints_stay_the_same_when_the_precision_is_settled(nli_model: Callable[..., Path]) -> None:
    folder = nli_model("bert", outlier=1000.0, seed=43)
    detector = NLIModel(folder, cache=None)
    before = detector.fingerprints
    detector.detect(PAIRS)
    assert detector.settings["precision"] == "float32"
    assert detector.fingerprints == NLIModel(folder, cache=None).fingerprints == before


@pytest.mark.parametrize("outlier", [1.0, 1000.0])
def test_what_an_earlier_session_settled_on_is_taken(nli_model: Callable[..., Path], outlier: float) -> None:
    folder = nli_model("bert", outlier=outlier, seed=45)
    first = NLIModel(folder, cache=None)
    unsettled = dict(first.settings)
    scores = scores_of(first, PAIRS)
    for found in (default_folder() / MODELS).glob("*.parity.json"):
        found.unlink()
    again = NLIModel(folder, cache=None)
    again.take_settings({})
    again.take_settings(unsettled)
    assert again.settings == unsettled
    again.take_settings(json.loads(json.dumps(first.settings)))
    assert again.settings == first.settings
    assert scores_of(again, PAIRS[:5]).tolist() == scores[:5].tolist()


def test_what_an_earlier_session_took_overrules_what_was_found_since(nli_model: Callable[..., Path]) -> None:
    folder = nli_model("bert", seed=47)
    few = NLIModel(folder, cache=None)
    few.detect(PAIRS[:5])
    NLIModel(folder, cache=None).detect(PAIRS)
    again = NLIModel(folder, cache=None)
    assert again.settings["precision"] == "int8"
    again.take_settings(few.settings)
    exact = NLIModel(folder, precision="float32", cache=None)
    assert scores_of(again, PAIRS).tolist() == scores_of(exact, PAIRS).tolist()

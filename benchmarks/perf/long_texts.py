"""Long evidence: fits the rule for it on one half of the documents, and tells its figures on the other.

python -m benchmarks.perf.long_texts --pairs FILE... --documentation FOLDER... [--unseen FILE...]
    [--fever FILE...]
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.perf.long_text_set import KINDS, LongPair, long_pairs
from kimera.files.pair_files import read_pairs
from kimera.models.calibration import calibration_error
from kimera.models.cross_encoder import CrossEncoder
from kimera.models.long_texts import FEATURES, LONG_TEXT_RULE, LongTextRule, claim_features, related_sentences
from kimera.models.passages import MAX_PASSAGE_PAIRS
from kimera.models.verification import verify
from kimera.reactor import SHIPPED_CROSS_ENCODER, Reactor

MIN_WORDS = 150  # of evidence that counts as long in a set of short ones
MANY = 40  # sentences
SAMPLE = 200  # of pairs of such a set


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", nargs="*", type=Path, default=[], help="labelled pairs, .jsonl.gz")
    parser.add_argument("--documentation", nargs="*", type=Path, default=[], help="folders")
    parser.add_argument("--unseen", nargs="*", type=Path, default=[], help="pairs that nothing was fitted on")
    parser.add_argument("--fever", nargs="*", type=Path, default=[], help="pairs of evidence and claim")
    parser.add_argument("--each", type=int, default=40, help="documents of each file of pairs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    reactor = Reactor(stages="verify")
    if options.pairs:
        fit_and_tell(reactor, *long_pairs(options.pairs, options.documentation, options.each, options.seed))
    if options.unseen:
        first, second = long_pairs(options.unseen, [], options.each, options.seed)
        tell_ways("unseen", reactor, [*first, *second])
    for path in options.fever:
        tell_fever(path, reactor)
    return 0


def fit_and_tell(reactor: Reactor, fitting: Sequence[LongPair], held_out: Sequence[LongPair]) -> None:
    """The rule fitted on the one part, and its figures and those of the ways as shipped on the other."""
    print(f"{len(fitting)} pairs to fit on, {len(held_out)} held out")
    rule = fitted(features_of(reactor, texts_of(fitting)), truth_of(fitting))
    print(f"LongTextRule(weights={tuple(round(w, 3) for w in rule.weights)}, offset={rule.offset:.3f})")
    print("\n".join(f"  {weight:+.3f} {name}" for weight, name in zip(rule.weights, FEATURES, strict=True)))
    features = features_of(reactor, texts_of(held_out))
    tell("rule as fitted here", held_out, scores_of(rule, features))
    tell("rule as shipped", held_out, scores_of(LONG_TEXT_RULE, features))
    tell_ways("held out", reactor, held_out)


def tell_ways(name: str, reactor: Reactor, pairs: Sequence[LongPair]) -> None:
    """As shipped, and the old way: of all pairs, and of those that are not read at once."""
    model = reactor.cross_encoder or CrossEncoder(SHIPPED_CROSS_ENCODER)
    is_long = model.too_long(texts_of(pairs))
    long_ones = [pair for pair, is_it in zip(pairs, is_long, strict=True) if is_it]
    new = reactor.verify(texts_of(pairs)).scores
    tell(f"{name}, as shipped", pairs, new)
    tell(f"{name}, as shipped, the too long", long_ones, new[is_long])
    old = strongest_passage(reactor, texts_of(pairs))
    tell(f"{name}, the old way", pairs, old)
    tell(f"{name}, the old way, the too long", long_ones, old[is_long])


def texts_of(pairs: Sequence[LongPair]) -> list[tuple[str, str]]:
    return [(pair.evidence, pair.claim) for pair in pairs]


def truth_of(pairs: Sequence[LongPair]) -> np.ndarray:
    return np.array([pair.kind == "contradicted" for pair in pairs])


def features_of(reactor: Reactor, pairs: Sequence[tuple[str, str]]) -> list[np.ndarray]:
    """Of each pair what is read of it, and the features of each sentence of its claim."""
    related = related_sentences(pairs, lambda texts: reactor.embed(texts).vectors, MAX_PASSAGE_PAIRS)
    read = reactor.verify([text for of_pair in related for text in of_pair.texts]).probabilities
    ends = np.cumsum([len(of_pair.texts) for of_pair in related])
    return list(map(claim_features, related, np.split(read, ends[:-1])))


def scores_of(rule: LongTextRule, rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([rule.scores(of_pair).max() for of_pair in rows])


def fitted(of_pairs: Sequence[np.ndarray], truth: np.ndarray) -> LongTextRule:
    """Of claims of one sentence: what contradicts longer ones is not known by the sentence."""
    from sklearn.linear_model import LogisticRegression

    single = [place for place, rows in enumerate(of_pairs) if len(rows) == 1]
    rows, truth = np.concatenate([of_pairs[place] for place in single]), truth[single]
    spread = rows.std(axis=0)
    model = LogisticRegression(C=1.0).fit(rows / spread, truth)
    return LongTextRule(tuple((model.coef_[0] / spread).tolist()), float(model.intercept_[0]))


def strongest_passage(reactor: Reactor, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """As without the rule: where the window is too small, the greatest of all pairs of passages."""
    return verify(pairs, reactor.cross_encoder or CrossEncoder(SHIPPED_CROSS_ENCODER), reactor.cache).scores


def tell(name: str, pairs: Sequence[LongPair], scores: np.ndarray) -> None:
    from sklearn.metrics import roc_auc_score

    truth = truth_of(pairs)
    print(f"\n{name}: AUC {roc_auc_score(truth, scores):.3f}, ", end="")
    print(f"calibration error {calibration_error(scores, truth):.3f}; called a contradiction:", flush=True)
    for source in sorted({pair.source for pair in pairs}) + ["all"]:
        cells = []
        for kind in KINDS:
            at = [row for row, p in enumerate(pairs) if p.kind == kind and source in (p.source, "all")]
            cells.append(f"{kind} {(scores[at] >= 0.5).mean():.1%} of {len(at)}")
        print(f"  {source}: {', '.join(cells)}")
    contradicted = [row for row, pair in enumerate(pairs) if pair.kind == "contradicted"]
    by_rule = [row for row in contradicted if pairs[row].is_by_rule]
    by_people = [row for row in contradicted if not pairs[row].is_by_rule]
    among_many = [row for row in by_people if pairs[row].sentences >= MANY]
    shares = {"by rule": by_rule, "by people": by_people, f"by people among {MANY} or more": among_many}
    cells = [f"{way} {(scores[at] >= 0.5).mean():.1%} of {len(at)}" for way, at in shares.items() if at]
    print(f"  contradicted: {', '.join(cells)}")


def tell_fever(path: Path, reactor: Reactor) -> None:
    """Of evidence of many words, the old way, the rule where it is used, and the rule on all."""
    from sklearn.metrics import roc_auc_score

    wordy = [p for p in read_pairs(path) if p.label is not None and len(p.text1.split()) >= MIN_WORDS]
    pairs = random.Random(0).sample(wordy, min(SAMPLE, len(wordy)))  # noqa: S311  # a sample, no secret
    texts, truth = [(p.text1, p.text2) for p in pairs], np.array([p.is_contradiction for p in pairs])
    is_long = CrossEncoder(SHIPPED_CROSS_ENCODER).too_long(texts)
    old, by_rule = strongest_passage(reactor, texts), scores_of(LONG_TEXT_RULE, features_of(reactor, texts))
    ways = {"old way": old, "new way": np.where(is_long, by_rule, old), "rule on all": by_rule}
    for which, at in (("all", np.ones(len(pairs), bool)), ("too long", is_long)):
        told = ", ".join(f"{way} {roc_auc_score(truth[at], scores[at]):.3f}" for way, scores in ways.items())
        shares = [f"{(scores[at & ~truth] >= 0.5).mean():.1%}" for scores in (old, by_rule)]
        print(
            f"{path.name}, {at.sum()} of {MIN_WORDS} words or more ({which}): AUC {told}; called a ", end=""
        )
        print(f"contradiction of those that are none: old {shares[0]}, rule {shares[1]}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

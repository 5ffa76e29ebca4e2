"""Pairs weighted by how little their second text alone tells the label, so that a fit has to read both.

Many sets tell contradictions by words of the hypothesis, such as "not" or "only" (Poliak et al. 2018,
"Hypothesis only baselines in natural language inference"). The weight of a pair is one minus the probability
of its own label by a model that sees nothing else (Clark, Yatskar and Zettlemoyer 2019, "Don't take the easy
way out", there called reweighting).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kimera.errors import UserError
from kimera.training.training_data import FOLDS, LabelledFile, require_both_answers

MIN_WEIGHT, MAX_WEIGHT = 0.05, 4.0  # of a pair, where the mean before these bounds is 1


def reweighted(file: LabelledFile, name: str) -> tuple[LabelledFile, float]:
    """(the file, each pair's weight times what its second text leaves open; ROC AUC by that text alone).

    By a logistic regression on words and pairs of words, of pairs that share no first text with those that
    it was fitted on. name: of the file, for errors. Raises `UserError` for one that is too small.
    """
    # Here, since they take long, and few fits need them.
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    require_both_answers([file], name)
    answers = np.array([pair.is_contradiction for pair in file.pairs])
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        LogisticRegression(C=4, max_iter=500),
    )
    try:
        shares = cross_val_predict(
            model,
            [pair.text2 for pair in file.pairs],
            answers,
            groups=[pair.text1 for pair in file.pairs],
            cv=GroupKFold(FOLDS),
            method="predict_proba",
        )[:, 1]
    except ValueError as error:
        raise UserError(f"--reweight {name}: too few pairs to learn anything from ({error})") from None
    left_open = np.where(answers, 1 - shares, shares)
    weights = np.clip(left_open / left_open.mean(), MIN_WEIGHT, MAX_WEIGHT)
    pairs = [
        replace(pair, weight=pair.weight * float(weight))
        for pair, weight in zip(file.pairs, weights, strict=True)
    ]
    return replace(file, pairs=pairs), float(roc_auc_score(answers, shares))

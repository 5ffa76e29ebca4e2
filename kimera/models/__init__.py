"""What computes: texts to vectors, pairs to probabilities, on onnxruntime and torch."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "BAGS",
    "CALIBRATION_BINS",
    "CLASSES",
    "COUNTS",
    "DEEP_MODEL",
    "DEEP_NAMES",
    "DEFAULT_MODEL",
    "LONG_TEXT_RULE",
    "MAX_PASSAGE_PAIRS",
    "MIN_PARITY_PAIRS",
    "PACKAGED_NAMES",
    "PARITY_PAIRS",
    "Backend",
    "ContradictionHead",
    "CrossEncoder",
    "CrossEncoderWeights",
    "DataSet",
    "Device",
    "Embedded",
    "Encoder",
    "Examples",
    "FitOptions",
    "Layers",
    "MapName",
    "NeighbourHead",
    "NeighbourScreen",
    "Parity",
    "Pieces",
    "Precision",
    "Runtime",
    "ScoreMap",
    "SequenceClassifier",
    "Strongest",
    "Tokenizer",
    "Tokens",
    "TrainingSource",
    "Verified",
    "as_saved",
    "averaged",
    "base_fingerprint",
    "calibrated_probabilities",
    "calibration_error",
    "choose_runtime",
    "contradiction_logit",
    "counts_of",
    "distinct",
    "embed",
    "equal_mass_bins",
    "find_checkpoint",
    "fit",
    "fit_calibration",
    "fit_score_map",
    "folder_digest",
    "has_deep_base",
    "is_cached",
    "load_tensors",
    "logits_module",
    "model_folder",
    "open_network",
    "pairs_at_a_time",
    "parity",
    "parse_source",
    "read_sources",
    "sentences",
    "sources_named_in",
    "split_pieces",
    "tensors_of",
    "three_way_loss",
    "through_cache",
    "torch_logits",
    "verify",
    "word_vectors",
]

if TYPE_CHECKING:
    from kimera.models.cached_outputs import distinct, through_cache
    from kimera.models.calibration import (
        CALIBRATION_BINS,
        calibrated_probabilities,
        calibration_error,
        contradiction_logit,
        equal_mass_bins,
        fit_calibration,
    )
    from kimera.models.checkpoints import find_checkpoint, is_cached
    from kimera.models.cross_encoder import (
        CrossEncoder,
        base_fingerprint,
        load_tensors,
        model_folder,
        open_network,
        tensors_of,
        torch_logits,
    )
    from kimera.models.cross_encoder_weights import CrossEncoderWeights
    from kimera.models.data_sets import DataSet, TrainingSource, parse_source, read_sources, sources_named_in
    from kimera.models.deep_base import DEEP_MODEL, DEEP_NAMES, has_deep_base
    from kimera.models.encoder import Embedded, Encoder, embed
    from kimera.models.head import (
        CLASSES,
        ContradictionHead,
        Examples,
        FitOptions,
        Layers,
        as_saved,
        averaged,
        fit,
        three_way_loss,
    )
    from kimera.models.int8_parity import MIN_PARITY_PAIRS, PARITY_PAIRS, Parity, parity
    from kimera.models.long_texts import LONG_TEXT_RULE
    from kimera.models.model_folders import DEFAULT_MODEL, PACKAGED_NAMES, folder_digest
    from kimera.models.neighbour_head import (
        BAGS,
        COUNTS,
        NeighbourHead,
        NeighbourScreen,
        Pieces,
        counts_of,
        split_pieces,
        word_vectors,
    )
    from kimera.models.pair_model import logits_module
    from kimera.models.passages import MAX_PASSAGE_PAIRS, sentences
    from kimera.models.runtime import Backend, Device, Precision, Runtime, choose_runtime
    from kimera.models.score_maps import MapName, ScoreMap, fit_score_map
    from kimera.models.sequence_classifier import SequenceClassifier
    from kimera.models.tokens import Tokenizer, Tokens
    from kimera.models.verification import Strongest, Verified, pairs_at_a_time, verify
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "cached_outputs": ["distinct", "through_cache"],
            "calibration": [
                "CALIBRATION_BINS",
                "calibrated_probabilities",
                "calibration_error",
                "contradiction_logit",
                "equal_mass_bins",
                "fit_calibration",
            ],
            "checkpoints": ["find_checkpoint", "is_cached"],
            "cross_encoder": [
                "CrossEncoder",
                "base_fingerprint",
                "load_tensors",
                "model_folder",
                "open_network",
                "tensors_of",
                "torch_logits",
            ],
            "cross_encoder_weights": ["CrossEncoderWeights"],
            "data_sets": ["DataSet", "TrainingSource", "parse_source", "read_sources", "sources_named_in"],
            "deep_base": ["DEEP_MODEL", "DEEP_NAMES", "has_deep_base"],
            "encoder": ["Embedded", "Encoder", "embed"],
            "head": [
                "CLASSES",
                "ContradictionHead",
                "Examples",
                "FitOptions",
                "Layers",
                "as_saved",
                "averaged",
                "fit",
                "three_way_loss",
            ],
            "long_texts": ["LONG_TEXT_RULE"],
            "model_folders": ["DEFAULT_MODEL", "PACKAGED_NAMES", "folder_digest"],
            "int8_parity": ["MIN_PARITY_PAIRS", "PARITY_PAIRS", "Parity", "parity"],
            "neighbour_head": [
                "BAGS",
                "COUNTS",
                "NeighbourHead",
                "NeighbourScreen",
                "Pieces",
                "counts_of",
                "split_pieces",
                "word_vectors",
            ],
            "pair_model": ["logits_module"],
            "passages": ["MAX_PASSAGE_PAIRS", "sentences"],
            "runtime": ["Backend", "Device", "Precision", "Runtime", "choose_runtime"],
            "score_maps": ["MapName", "ScoreMap", "fit_score_map"],
            "sequence_classifier": ["SequenceClassifier"],
            "tokens": ["Tokenizer", "Tokens"],
            "verification": ["Strongest", "Verified", "pairs_at_a_time", "verify"],
        },
    )

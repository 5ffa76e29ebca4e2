"""Small models for natural language inference, of every architecture, with weights that nobody fitted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WORDS = [
    "the", "a", "an", "no", "not", "all", "some", "every", "man", "woman", "child",
    "dog", "cat", "river", "house", "door", "train", "song", "book", "sleeps", "runs", "sings",
    "reads", "opens", "closes", "is", "was", "are", "were", "never", "always", "red", "blue",
    "old", "new", "big", "small", "in", "on", "at", "by", "with", "and", "or",
    "but", "quickly", "slowly", "today", "tomorrow", "here", "there",
]  # fmt: skip
WINDOW = 64
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
THREE = ("contradiction", "entailment", "neutral")

BERT_MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA_MARKS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
BERT_PAIR = ("[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1")
ROBERTA_PAIR = ("<s>:0 $A:0 </s>:0", "<s>:0 $A:0 </s>:0 </s>:0 $B:0 </s>:0")

# Architecture: (its settings beside `SIZES`, the kind of its tokenizer, the tokenizer's class).
ARCHITECTURES: dict[str, tuple[dict[str, Any], str, str]] = {
    "bert": ({}, "words", "BertTokenizer"),
    "roberta": ({"max_position_embeddings": WINDOW + 2}, "bytes", "RobertaTokenizer"),
    "distilbert": (
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
        "words",
        "DistilBertTokenizer",
    ),
    "albert": ({"embedding_size": 16}, "pieces", "AlbertTokenizer"),
    "electra": ({"embedding_size": 16}, "words", "ElectraTokenizer"),
    "mpnet": ({"max_position_embeddings": WINDOW + 2}, "words-of-mpnet", "MPNetTokenizer"),
    "xlm-roberta": ({"max_position_embeddings": WINDOW + 2}, "pieces-of-xlm-r", "XLMRobertaTokenizer"),
    "deberta-v2": (
        {
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "position_biased_input": False,
            "type_vocab_size": 0,
        },
        "pieces",
        "DebertaV2Tokenizer",
    ),
    "modernbert": (
        {"global_attn_every_n_layers": 2, "local_attention": 16, "position_embedding_type": "sans_pos"},
        "bytes-of-bert",
        "PreTrainedTokenizerFast",
    ),
}


# A spelling and an order for each architecture, with the places of contradiction, entailment and neutral.
LABELS: dict[str, tuple[tuple[str, ...], tuple[int, int, int]]] = {
    "bert": (("contradiction", "entailment", "neutral"), (0, 1, 2)),
    "roberta": (("CONTRADICTION", "NEUTRAL", "ENTAILMENT"), (0, 2, 1)),
    "distilbert": (("entailment", "neutral", "contradiction"), (2, 0, 1)),
    "albert": (("Entailment", "Contradictory", "Neutral"), (1, 0, 2)),
    "electra": (("neutral", "contradict", "entail"), (1, 2, 0)),
    "mpnet": (("e", "n", "c"), (2, 0, 1)),
    "xlm-roberta": (("neutral ", " entails", "contradicts."), (2, 1, 0)),
    "deberta-v2": (("is_entailment", "NEUTRAL", "is_contradiction"), (2, 0, 1)),
    "modernbert": (("contradicted", "entailed", "neutral"), (0, 1, 2)),
}


def write_nli_model(
    folder: Path,
    architecture: str = "bert",
    labels: Sequence[str] | None = THREE,
    *,
    seed: int = 0,
    outlier: float = 1.0,
    outputs: int | None = None,
    card: str = "",
    window: int = WINDOW,
    **tokenizer_settings: Any,
) -> Path:
    """A folder as `save_pretrained` writes it. labels: in the order of its outputs; None states none.

    outlier: by what one channel of every attention is larger than the others, of a BERT or a DeBERTa.
    card: what README.md holds.
    """
    import torch
    import transformers

    settings, kind, tokenizer_class = ARCHITECTURES[architecture]
    marks, tokenizer = _tokenizer(kind)
    names = list(labels) if labels is not None else [f"LABEL_{place}" for place in range(outputs or 3)]
    config = transformers.AutoConfig.for_model(
        architecture,
        **{"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": window, **SIZES, **settings},
        id2label=dict(enumerate(names)),
        label2id={name: place for place, name in enumerate(names)},
        pad_token_id=marks.index("<pad>" if "<pad>" in marks else "[PAD]"),
    )
    torch.manual_seed(seed)
    network = transformers.AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        _spread(network.eval(), outlier, tokenizer)
    network.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    stated = {"tokenizer_class": tokenizer_class, "model_max_length": window, **_named(marks)}
    (folder / "tokenizer_config.json").write_text(json.dumps({**stated, **tokenizer_settings}))
    if card:
        (folder / "README.md").write_text(card)
    return folder


def _spread(network: Any, outlier: float, tokenizer: Any) -> None:
    """With weights of the usual size each pair would have the same score; logits get a spread of 2."""
    import torch

    for name, weights in network.named_parameters():
        if weights.dim() == 2:
            wanted = 0.5 if "embedding" in name else 0.85 / weights.shape[1] ** 0.5
            weights.mul_(wanted / weights.std())
    for name, module in network.named_modules():
        # What one of these does, the other undoes, so that only int8 suffers.
        if outlier != 1.0 and name.endswith(".attention"):
            value = getattr(module.self, "value", None) or module.self.value_proj
            value.weight[0] *= outlier
            value.bias[0] *= outlier
            module.output.dense.weight[:, 0] /= outlier
    rows = [tokenizer.encode(*pair).ids for pair in pairs_of_words(100, seed=99)]
    logits = torch.cat([network(input_ids=torch.tensor([ids])).logits for ids in rows])
    linear = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    [last] = [module for module in linear if module.out_features == logits.shape[1]]
    last.weight *= 2.0 / logits.std(dim=0, keepdim=True).T
    last.bias.copy_((last.bias - logits.mean(dim=0)) * 2.0 / logits.std(dim=0))


def _named(marks: Sequence[str]) -> dict[str, str]:
    def first_of(*possible: str) -> str:
        return next(mark for mark in possible if mark in marks)

    return {
        "pad_token": first_of("[PAD]", "<pad>"),
        "unk_token": first_of("[UNK]", "<unk>"),
        "cls_token": first_of("[CLS]", "<s>"),
        "sep_token": first_of("[SEP]", "</s>"),
        "mask_token": first_of("[MASK]", "<mask>"),
    }


def _tokenizer(kind: str) -> tuple[tuple[str, ...], Any]:
    """(special tokens in the order of their ids, a `tokenizers.Tokenizer`)."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    is_roberta = kind in ("bytes", "pieces-of-xlm-r", "words-of-mpnet")
    marks = ROBERTA_MARKS if is_roberta else BERT_MARKS
    unknown = "<unk>" if is_roberta else "[UNK]"
    letters = [chr(place) for place in range(ord("a"), ord("z") + 1)]
    if kind.startswith("words"):
        pieces = [*marks, *WORDS, *letters, *(f"##{letter}" for letter in letters), ".", ",", "?"]
        vocabulary = {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}
        made = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
        made.normalizer = normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.decoder = decoders.WordPiece()
    elif kind.startswith("bytes"):
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=list(marks),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        made.train_from_iterator([" ".join(WORDS)], trainer)
    else:
        pieces = [*marks, "▁", *(f"▁{word}" for word in WORDS), *letters, ".", ",", "?"]
        scored = [(piece, -float(place) / 10) for place, piece in enumerate(dict.fromkeys(pieces))]
        made = Tokenizer(models.Unigram(scored, unk_id=marks.index(unknown)))
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
    single, pair = ROBERTA_PAIR if is_roberta else BERT_PAIR
    ends = ("<s>", "</s>") if is_roberta else ("[CLS]", "[SEP]")
    special = [(mark, marks.index(mark)) for mark in ends]
    made.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=special)
    made.add_special_tokens(list(marks))
    return marks, made


def pairs_of_words(count: int, seed: int = 0, most: int = 12) -> list[tuple[str, str]]:
    """Different pairs of nonsense of different lengths."""
    import numpy as np

    random = np.random.default_rng(seed)

    def text() -> str:
        return " ".join(random.choice(WORDS, random.integers(1, most + 1)))

    made: dict[tuple[str, str], None] = {}
    while len(made) < count:
        made[(text(), text())] = None
    return list(made)


def logits_of_transformers(folder: Path, pairs: Sequence[tuple[str, str]]) -> Any:
    """What the library gives for each pair by itself: its own tokenizer, its own network, in float32."""
    import numpy as np
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    network.eval()
    with torch.no_grad():
        rows = [
            network(**tokenizer(*pair, return_tensors="pt", truncation="longest_first")).logits[0]
            for pair in pairs
        ]
    return np.stack([row.numpy() for row in rows])

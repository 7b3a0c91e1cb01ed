"""How often a masked model finds the hidden word of texts it was not trained on.

    python models/masked.py --recipe models/gaps/recipe.toml --corpus ../shared/data/tinystories.txt --out run --prepare
    python models/cloze.py models/gaps run/held_out.txt
    python models/cloze.py models/gaps --text "The cat sat on the [MASK]."

The model is a folder of `transformers` or one with the model.gguf that `cargo xtask convert` makes of such a folder, and is
computed by transformers. Two exams, the same for every model with this vocabulary:

- of whole texts, 15 % of the tokens hidden at once, the share that BERT's authors trained and measured with;
- of single sentences, one word hidden, as a person does who makes a gap.

Needs torch, transformers, tokenizers and numpy; gguf for a .gguf file.
"""

import argparse
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from transformers import BertConfig, BertForMaskedLM

from masks import ASIDE, MASK_ID, Rows, guesses, mask, pad

END = "\n<|endoftext|>\n"


class Exams:
    def __init__(self, documents, tokenizer, length):
        random = np.random.default_rng(0)
        rows = Rows(documents, tokenizer)
        firsts = np.isin(rows.starts, np.append(0, rows.document_end))
        texts = sorted((rows.row(start, length, True) for start in rows.starts[firsts]), key=len)
        ends = [start + np.argmax(rows.sentence_ends[start:]) for start in rows.starts]
        sentences = [rows.row(start, end - start + 3, True) for start, end in zip(rows.starts, ends)]
        sentences = sorted((s for s in sentences if 6 <= len(s) <= 40), key=len)
        vocabulary = tokenizer.get_vocab_size()
        words = np.array([tokenizer.id_to_token(i).isalpha() for i in range(vocabulary)])
        self.texts = [mask(pad(texts[i : i + 32]), random, vocabulary, 0.15, 1.0, 0.0) for i in range(0, len(texts), 32)]
        self.sentences = []
        for i in range(0, len(sentences), 64):
            given = pad([s for s in sentences[i : i + 64] if words[s].any()])
            labels = np.full_like(given, ASIDE)
            for to, label in zip(given, labels):
                at = random.choice(np.flatnonzero(words[to]))
                label[at], to[at] = to[at], MASK_ID
            self.sentences.append((given, labels))

    def report(self, model):
        """Prints both results; answers with the nats per hidden token of the first."""
        nats = measure(model, "15 % of a text", self.texts)
        measure(model, "a word of a sentence", self.sentences)
        return nats


@torch.no_grad()
def measure(model, name, batches):
    nats = first = five = count = 0
    for given, labels in batches:
        logits, right = guesses(model, given, labels)
        nats += F.cross_entropy(logits, right, reduction="sum").item()
        found = logits.topk(5).indices == right[:, None]
        first, five, count = first + found[:, 0].sum().item(), five + found.sum().item(), count + len(right)
    right = f"right {100 * first / count:.1f} %, among five {100 * five / count:.1f} % of {count}"
    print(f"{name:20}  perplexity {math.exp(nats / count):6.2f} ({nats / count:.4f} nats)  {right}", flush=True)
    return nats / count


def load(folder):
    """Model and tokenizer of a folder, or of the folder that is inside its model.gguf."""
    if not (folder / "model.gguf").exists():
        return BertForMaskedLM.from_pretrained(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(folder / "model.gguf")
    config, tokenizer = (reader.fields[f"inkling.file.{n}.json"].contents() for n in ("config", "tokenizer"))
    model = BertForMaskedLM(BertConfig(**json.loads(config)))
    tensors = {t.name: torch.tensor(dequantize(t.data, t.tensor_type)).float() for t in reader.tensors}
    missing = model.load_state_dict(tensors, strict=False).missing_keys
    if any(not name.startswith("cls.predictions.decoder.") for name in missing):
        raise SystemExit(f"{folder}: expected every tensor of the model, missing {missing}")
    return model, Tokenizer.from_str(tokenizer)


@torch.no_grad()
def fill(model, tokenizer, text):
    ids = torch.tensor([tokenizer.encode(text).ids])
    shares = model(ids).logits[0, ids[0] == MASK_ID].softmax(-1)
    for gap in shares:
        share, ids = gap.topk(5)
        print(f"{text}\n    " + ", ".join(f"{tokenizer.id_to_token(i)} {100 * s:.0f} %" for s, i in zip(share, ids.tolist())))


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("model", type=pathlib.Path, help="a folder")
    a.add_argument("held_out", type=pathlib.Path, nargs="?", help="held_out.txt of the run")
    a.add_argument("--text", action="append", default=[], help="instead: the candidates for every [MASK] in it")
    a = a.parse_args()
    model, tokenizer = load(a.model)
    model.eval()
    for text in a.text:
        fill(model, tokenizer, text)
    if a.held_out:
        documents = a.held_out.read_text(encoding="utf-8").strip().split(END)
        Exams(documents, tokenizer, model.config.max_position_embeddings).report(model)


if __name__ == "__main__":
    main()

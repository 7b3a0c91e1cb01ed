"""Trains a masked language model (BERT) in PyTorch: guess the words that are hidden, from what is left and right of them.

    python models/masked.py --recipe models/gaps/recipe.toml --corpus ../shared/data/tinystories.txt --out run

The same command goes on from the last checkpoint in run/, if there is one. `run/` becomes a model folder of
`transformers`: tokenizer.json and config.json at the beginning, model.safetensors with the weights of the best
measurement. Held out are the documents that `cargo xtask train` would hold out; they are in run/held_out.txt. Optimizer,
rates, checkpoints and random numbers are those of train.py.
Needs torch, transformers, tokenizers, safetensors and numpy.
"""

import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers.decoders import WordPiece as WordPieceDecoder
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from cloze import END, Exams
from masks import CLS, CLS_ID, MASK, PAD, PAD_ID, SEP, SEP_ID, SPECIAL, UNKNOWN, Rows, guesses, mask
from recipes import options, read_recipe
from train import Optimizer, keep, learning_rate, permutation, resume, write


def read_corpus(path, recipe):
    """Training and held-out documents: the split of src/train/split.rs."""
    documents = [d.strip() for d in path.read_text(encoding="utf-8").split(recipe["separator"])]
    documents = [d for d in documents if d]
    count = max(1, math.floor(len(documents) * recipe["held_out"] + 0.5))
    held = set(permutation(recipe["seed"], "split", len(documents))[:count].tolist())
    held_out = [d for i, d in enumerate(documents) if i in held]
    known = set(held_out)
    return [d for d in documents if d not in known], held_out


def train_tokenizer(documents, vocabulary):
    """WordPiece over the words that BERT's own rules make; every printable ASCII character is known."""
    if vocabulary["kind"] != "wordpiece":
        raise SystemExit(f"vocabulary.kind: expected wordpiece, found {vocabulary['kind']}")
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=vocabulary["lowercase"])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder(prefix="##")
    alphabet = [chr(c) for c in range(0x21, 0x7F) if not (vocabulary["lowercase"] and chr(c).isupper())]
    tokenizer.train_from_iterator(
        documents,
        trainers.WordPieceTrainer(
            vocab_size=vocabulary["size"], special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, CLS_ID), (SEP, SEP_ID)],
    )
    return tokenizer


def prepare(run, documents, held_out, recipe):
    """A model folder with weights to begin with."""
    run.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(documents, recipe["vocabulary"])
    length = recipe["model"]["max_position_embeddings"]
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=length, pad_token=PAD, unk_token=UNKNOWN, cls_token=CLS,
        sep_token=SEP, mask_token=MASK,
    ).save_pretrained(run)
    (run / "held_out.txt").write_text(END.join(held_out) + "\n", encoding="utf-8")
    torch.manual_seed(recipe["training"]["seed"])
    config = dict(recipe["model"], vocab_size=tokenizer.get_vocab_size(), pad_token_id=PAD_ID)
    model = BertForMaskedLM(BertConfig(**config))
    model.config.architectures = ["BertForMaskedLM"]
    model.config.save_pretrained(run)
    write(run / "model.safetensors", dict(model.named_parameters()))


def main():
    a = options(__doc__).parse_args()
    recipe = read_recipe(a)
    s = recipe["training"]
    documents, held_out = read_corpus(a.corpus, recipe["corpus"])
    if not (a.out / "tokenizer.json").exists():
        prepare(a.out, documents, held_out, recipe)
    if a.prepare:
        return
    tokenizer = Tokenizer.from_file(str(a.out / "tokenizer.json"))
    model = BertForMaskedLM.from_pretrained(a.out, attn_implementation="eager")
    exams = Exams(held_out, tokenizer, recipe["model"]["max_position_embeddings"])
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    lengths = {int(length): weight for length, weight in s["sequence_lengths"].items()}
    rows = Rows(documents, tokenizer)
    print(f"{len(documents)} documents of {len(rows.tokens)} tokens, {len(held_out)} held out", flush=True)
    optimizer = Optimizer(model, s, True)
    weights, step, best = resume(a.out, optimizer)
    model.load_state_dict(weights, strict=False)
    stop = min(a.stop_at or s["max_steps"], s["max_steps"])
    began, seen = time.time(), 0
    while step < stop:
        random = np.random.default_rng([s["seed"], step])
        length = random.choice(list(lengths), p=list(lengths.values()))
        batch = rows.batch(random, length, s["batch_tokens"] // length)
        given, labels = mask(batch, random, tokenizer.get_vocab_size(), **recipe["masking"])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits, right = guesses(model, given, labels)
        loss = F.cross_entropy(logits, right)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), s["max_grad_norm"]).item()
        step, seen = step + 1, seen + given.size
        optimizer.step(step, learning_rate(s, step))
        model.zero_grad(set_to_none=True)
        if step % 20 == 0:
            speed = seen / (time.time() - began)
            rate = learning_rate(s, step)
            print(f"step {step} loss {loss.item():.4f} norm {norm:.2f} rate {rate:.5f} {speed:.0f} tokens/s", flush=True)
        if step % s["eval_steps"] == 0 or step == stop:
            print(f"step {step} held out", flush=True)
            best = keep(a.out, model, optimizer, step, exams.report(model.eval()), best)
            model.train()


if __name__ == "__main__":
    main()

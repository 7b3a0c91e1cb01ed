"""Trains an encoder-decoder (mT5) in PyTorch: read a whole sentence, then write its translation token by token.

    python models/pairs.py --recipe models/translator/recipe.toml --corpus ../shared/data/parallel/eng-fra.tsv --out run

The same command goes on from the last checkpoint in run/, if there is one. `run/` becomes a model folder of
`transformers`: tokenizer.json and config.json at the beginning, model.safetensors with a running average of the weights
at every measurement, the last one in the end. Held out are the sentences that `cargo xtask train` would hold out by
first lines; they are in run/held_out.txt. Optimizer, rates, checkpoints and random numbers are those of train.py.
With MALLOC_MMAP_THRESHOLD_=4294967296 and MALLOC_TRIM_THRESHOLD_=8589934592 in the environment, where glibc heeds them,
a step takes a third less time, and the run some gigabytes of memory.
Needs torch, transformers, tokenizers, safetensors, numpy and sacrebleu.
"""

import json
import math
import time
import unicodedata

import numpy as np
import torch
import torch.nn.functional as F
from sacrebleu.metrics import BLEU
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import MT5Config, MT5ForConditionalGeneration, PreTrainedTokenizerFast

from bleu import END, ENGLISH, FRENCH, streams
from recipes import options, read_recipe
from train import Optimizer, keep, learning_rate, permutation, resume, write

PAD, STOP = "<pad>", "</s>"
PAD_ID, STOP_ID = 0, 1


def read_corpus(path, recipe):
    """Training and held-out pairs: the split of src/train/split.rs by first lines, here the sources."""
    rows = [row.split(recipe["separator"])[:2] for row in path.read_text(encoding="utf-8").splitlines()]
    rows = [tuple(unicodedata.normalize(recipe["unicode"].upper(), field.strip()) for field in row) for row in rows]
    pairs = list(dict.fromkeys(row for row in rows if len(row) == 2 and all(row)))
    sources = list(dict.fromkeys(source for source, _ in pairs))
    count = max(1, math.floor(len(sources) * recipe["held_out"] + 0.5))
    held = {sources[i] for i in permutation(recipe["seed"], "split", len(sources))[:count]}
    return [p for p in pairs if p[0] not in held], [p for p in pairs if p[0] in held]


def train_tokenizer(pairs, vocabulary):
    """One byte-level BPE for both languages; every text ends with the sign that stops the writing."""
    if vocabulary["kind"] != "byte-level-bpe":
        raise SystemExit(f"vocabulary.kind: expected byte-level-bpe, found {vocabulary['kind']}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary["size"], special_tokens=[PAD, STOP],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )
    tokenizer.train_from_iterator((text for pair in pairs for text in pair), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {STOP}", pair=f"$A {STOP} $B {STOP}", special_tokens=[(STOP, STOP_ID)]
    )
    return tokenizer


def prepare(run, pairs, held_out, recipe):
    """A model folder with weights to begin with."""
    run.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(pairs, recipe["vocabulary"])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=STOP).save_pretrained(run)
    # Without line breaks; it will be part of the file that is fetched.
    path = run / "tokenizer.json"
    dense = json.dumps(json.loads(path.read_bytes()), ensure_ascii=False, separators=(",", ":"))
    path.write_text(dense, encoding="utf-8")
    documents = [f"{ENGLISH}{source}\n{FRENCH} {target}" for source, target in held_out]
    (run / "held_out.txt").write_text(END.join(documents) + "\n", encoding="utf-8")
    torch.manual_seed(recipe["training"]["seed"])
    ids = {"pad_token_id": PAD_ID, "eos_token_id": STOP_ID, "decoder_start_token_id": PAD_ID}
    config = MT5Config(**recipe["model"], **ids, vocab_size=tokenizer.get_vocab_size())
    model = MT5ForConditionalGeneration(config)
    # Those of T5 are as large as 1, which AdamW's steps hardly move.
    torch.nn.init.normal_(model.shared.weight, std=recipe["training"]["embeddings_range"])
    model.config.architectures = ["MT5ForConditionalGeneration"]
    model.config.save_pretrained(run)
    write(run / "model.safetensors", dict(model.named_parameters()))


def padded(rows):
    """Rows of token ids of one length."""
    ids = np.full((len(rows), max(map(len, rows))), PAD_ID, dtype=np.int64)
    for line, row in zip(ids, rows):
        line[: len(row)] = row
    return torch.from_numpy(ids)


class Batches:
    """Pairs of like lengths together, in every epoch other ones and in another order."""

    def __init__(self, pairs, tokenizer, size, seed):
        self.rows = [[encoding.ids for encoding in tokenizer.encode_batch(texts)] for texts in zip(*pairs)]
        self.seed, self.epoch = seed, None
        self.lengths = [np.array([len(row) for row in rows]) for rows in self.rows]
        self.tokens = int(self.lengths[1].sum())
        self.count = max(1, round(self.tokens / size))

    def batch(self, step):
        epoch, at = divmod(step, self.count)
        if self.epoch != epoch:
            self.epoch = epoch
            sources, targets = self.lengths
            order = permutation(self.seed, f"epoch {epoch} pairs", len(targets))
            order = order[np.lexsort((sources[order], targets[order]))]
            # As many tokens in each batch.
            ends = np.cumsum(targets[order])
            self.parts = np.split(order, np.searchsorted(ends, ends[-1] * np.arange(1, self.count) / self.count))
            self.order = permutation(self.seed, f"epoch {epoch} batches", self.count)
        return [padded([rows[i] for i in self.parts[self.order[at]]]) for rows in self.rows]


class Dropout(torch.nn.Dropout):
    """That of PyTorch with eight cells to a random number, which on a CPU takes a fraction of the time."""

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        bytes_ = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None).view(torch.int8)
        stays = bytes_[: x.numel()].view(x.shape) >= round(self.p * 256) - 128
        return x * stays.to(x.dtype).mul_(1 / (1 - round(self.p * 256) / 256))


def losses(model, source, target, **kind):
    """The cross-entropy of the targets' tokens, summed or averaged."""
    there, before = target != PAD_ID, F.pad(target[:, :-1], (1, 0), value=PAD_ID)
    read = {"attention_mask": (source != PAD_ID).long()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        held = model.encoder(input_ids=source, **read).last_hidden_state
        decoded = model.decoder(
            input_ids=before, encoder_hidden_states=held, encoder_attention_mask=read["attention_mask"], use_cache=False
        )
        logits = model.lm_head(decoded.last_hidden_state[there])
    return F.cross_entropy(logits.float(), target[there], **kind)


@torch.no_grad()
def report(model, tokenizer, held_out, beams):
    """Nats per token of the held-out pairs, and BLEU of their sources' translations."""
    encode = lambda texts: padded([encoding.ids for encoding in tokenizer.encode_batch(texts)])
    source, target = map(encode, zip(*held_out))
    nats = losses(model, source, target, reduction="sum").item() / (target != PAD_ID).sum().item()
    pairs = {}
    for text, translation in held_out:
        pairs.setdefault(text, []).append(translation)
    source = encode(list(pairs))
    values, read = [], {"input_ids": source, "attention_mask": (source != PAD_ID).long()}
    for count in beams:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            written = model.generate(**read, max_new_tokens=60, num_beams=count, do_sample=False)
        hypotheses = [text.strip() for text in tokenizer.decode_batch(written.tolist())]
        values.append(f"{count} beams {BLEU().corpus_score(hypotheses, streams(pairs)).score:.2f}")
    return f"held out {nats:.4f} nats per token, BLEU {', '.join(values)}"


class Averaged(Optimizer):
    """Muon's and AdamW's, with a running average of the weights after each step."""

    def __init__(self, model, average, settings):
        super().__init__(model, settings, True)
        self.head_dim = model.config.d_kv
        for name, p in average.named_parameters():
            self.state[f"{name}.average"] = p.data

    def muon(self, name, p):
        return super().muon(name, p) and "relative_attention_bias" not in name

    def share(self, name):
        # T5 does not divide the scores by √d_kv: its queries are that much smaller, and so must be their steps.
        return self.head_dim**-0.5 if name.endswith(".q.weight") else 1.0

    @torch.no_grad()
    def step(self, step, rate):
        super().step(step, rate)
        # Over the steps there were, while these are few.
        share = max(1 - self.settings["average"], 9 / (step + 9))
        for name, p in self.parameters.items():
            self.state[f"{name}.average"].lerp_(p, share)


def main():
    a = options(__doc__)
    a.add_argument("--threads", type=int, default=1)
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    recipe = read_recipe(a)
    s = recipe["training"]
    pairs, held_out = read_corpus(a.corpus, recipe["corpus"])
    if not (a.out / "tokenizer.json").exists():
        prepare(a.out, pairs, held_out, recipe)
    if a.prepare:
        return
    tokenizer = Tokenizer.from_file(str(a.out / "tokenizer.json"))
    model = MT5ForConditionalGeneration.from_pretrained(a.out, attn_implementation="eager").train()
    for module in model.modules():
        if type(module) is torch.nn.Dropout:
            module.__class__ = Dropout
    average = MT5ForConditionalGeneration.from_pretrained(a.out, attn_implementation="eager").eval()
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    batches = Batches(pairs, tokenizer, s["batch_tokens"], s["seed"])
    print(f"{len(pairs)} pairs of {batches.tokens} tokens to write, {len(held_out)} held out", flush=True)
    print(f"an epoch is {batches.count} steps", flush=True)
    optimizer = Averaged(model, average, s)
    weights, step, _ = resume(a.out, optimizer)
    model.load_state_dict(weights, strict=False)
    stop = min(a.stop_at or s["max_steps"], s["max_steps"])
    began, first = time.time(), step
    while step < stop:
        torch.manual_seed(s["seed"] + step)
        source, target = batches.batch(step)
        loss = losses(model, source, target, label_smoothing=s["label_smoothing_factor"])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), s["max_grad_norm"]).item()
        step += 1
        optimizer.step(step, learning_rate(s, step))
        model.zero_grad(set_to_none=True)
        if step % 20 == 0:
            pace, rate = (time.time() - began) / (step - first), learning_rate(s, step)
            print(f"step {step} loss {loss.item():.4f} norm {norm:.2f} rate {rate:.5f} {pace:.3f} s a step", flush=True)
        if step % s["eval_steps"] == 0 or step == stop:
            print(f"step {step} {report(average, tokenizer, held_out, (1, 4) if step == stop else (1,))}", flush=True)
            write(a.out / "model.safetensors", dict(average.named_parameters()))
            keep(a.out, model, optimizer, step, math.inf, math.inf)


if __name__ == "__main__":
    main()

"""The long run of a recipe in PyTorch, for machines and hours where that is quicker than the Rust trainer.

    cargo xtask train --recipe models/stories/recipe.toml --corpus tinystories.txt --out run --prepare
    python models/train.py run                  # goes on from the last checkpoint in run/, if there is one
    cargo xtask eval --model run --text run/held_out.txt

`--prepare` has done all but the training: `run/` holds the tokenizer, the token ids of the documents, the held-out
text, the configuration and the initial weights. This script draws the same batches and takes the same steps as
src/train/ does (tests/training.rs holds one against the other), through the models of `transformers`; only what a model
drops by chance is drawn by PyTorch. As there, `model.safetensors` has the weights of the best measurement; the last ones,
to go on from, are in `pytorch_checkpoint.safetensors`.
Needs torch, transformers, safetensors and numpy.
"""

import argparse
import json
import math
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(z):
    """The finalizer of SplitMix64 (Steele, Lea and Flood 2014), element by element."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def words(seed, stream, count):
    """The first words of a stream of random numbers: src/train/random.rs."""
    name = np.uint64(0xCBF29CE484222325)
    with np.errstate(over="ignore"):
        for byte in stream.encode():
            name = (name ^ np.uint64(byte)) * np.uint64(0x100000001B3)
        key = mix(np.uint64(seed) + GOLDEN) ^ name
        return mix(key + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN)


def permutation(seed, stream, count):
    return np.argsort(words(seed, stream, count), kind="stable")


class Batches:
    """Rows of tokens, a new order of documents and rows each epoch: src/train/batches.rs."""

    def __init__(self, documents, length, seed):
        self.documents, self.length, self.seed = documents, length, seed
        self.tokens = sum(len(d) for d in documents)
        self.rows = max(1, self.tokens // length)
        self.epoch = None

    def row(self, index):
        epoch, at = divmod(index, self.rows)
        if epoch != self.epoch:
            self.epoch = epoch
            order = permutation(self.seed, f"epoch {epoch} documents", len(self.documents))
            self.stream = np.concatenate([self.documents[i] for i in order])
            self.offset = int(words(self.seed, f"epoch {epoch} offset", 1)[0] % np.uint64(self.tokens))
            self.order = permutation(self.seed, f"epoch {epoch} rows", self.rows)
        start = self.offset + int(self.order[at]) * self.length
        return self.stream[(start + np.arange(self.length + 1)) % self.tokens]

    def batch(self, first, count):
        rows = np.stack([self.row(first + i) for i in range(count)]).astype(np.int64)
        return torch.from_numpy(rows[:, :-1].copy()), torch.from_numpy(rows[:, 1:].copy())


def orthogonalize(g, half):
    """Newton-Schulz iteration of Muon (Jordan et al. 2024)."""
    x = g / (g.norm() + 1e-7)
    if half:
        x = x.bfloat16()
    if g.shape[0] > g.shape[1]:
        x = x.T
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    if g.shape[0] > g.shape[1]:
        x = x.T
    return x.float()


class Optimizer:
    """AdamW, or Muon for the matrices inside the layers and AdamW for the rest: src/train/optimizer.rs."""

    def __init__(self, model, settings, half):
        self.settings, self.half = settings, half
        self.parameters = dict(model.named_parameters())
        self.state = {}
        for name, p in self.parameters.items():
            self.state[f"{name}.m"] = torch.zeros_like(p)
            if not self.muon(name, p):
                self.state[f"{name}.v"] = torch.zeros_like(p)

    def muon(self, name, p):
        inside = any(part in name for part in (".layers.", ".h.", ".layer."))
        return self.settings["optim"] == "muon" and p.dim() == 2 and inside

    def share(self, name):
        """Of Muon's rate, for one matrix."""
        return 1.0

    @torch.no_grad()
    def step(self, step, rate):
        s = self.settings
        b1, b2 = s["adam_beta1"], s["adam_beta2"]
        for name, p in self.parameters.items():
            g, m = p.grad, self.state[f"{name}.m"]
            if p.dim() == 2:
                p.mul_(1 - rate * s["weight_decay"])
            if self.muon(name, p):
                momentum = s["muon_momentum"]
                m.mul_(momentum).add_(g)
                update = orthogonalize(g + momentum * m, self.half)
                p.sub_(update, alpha=rate * self.share(name) * 0.2 * math.sqrt(max(p.shape)))
            else:
                v = self.state[f"{name}.v"]
                m.lerp_(g, 1 - b1)
                v.mul_(b2).addcmul_(g, g, value=1 - b2)
                denominator = (v / (1 - b2**step)).sqrt_().add_(s["adam_epsilon"])
                p.sub_((m / denominator), alpha=rate / (1 - b1**step))


def learning_rate(s, step):
    """The rate of a step counted from 1: warm-up, then the schedule (src/train/schedule.rs)."""
    if step <= s["warmup_steps"]:
        return s["learning_rate"] * step / s["warmup_steps"]
    least = s["min_learning_rate"] / s["learning_rate"] if s["learning_rate"] else 0.0
    if s["lr_scheduler_type"] == "warmup_stable_decay":
        left = (s["max_steps"] - step) / s["decay_steps"] if s["decay_steps"] else 1.0
        factor = least + (1 - least) * min(1.0, max(0.0, left))
    else:
        done = (step - s["warmup_steps"]) / max(1, s["max_steps"] - s["warmup_steps"])
        factor = least + (1 - least) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return s["learning_rate"] * factor


def write(path, tensors):
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    save_file(tensors, path.with_suffix(".part"), {"format": "pt"})
    path.with_suffix(".part").rename(path)


def resume(run, optimizer):
    """The weights to begin with, the steps taken and the best measurement; puts the optimizer's state back."""
    checkpoint = run / "pytorch_checkpoint.safetensors"
    if not checkpoint.exists():
        return load_file(run / "model.safetensors"), 0, math.inf
    saved = load_file(checkpoint)
    step = int(saved.pop("step"))
    # A checkpoint from before the best was kept does not say it.
    best = float(saved.pop("best", math.inf))
    for name, value in optimizer.state.items():
        value.copy_(saved.pop(name))
    return saved, step, best


def keep(run, model, optimizer, step, nats, best):
    """Writes a checkpoint, and the weights if no measurement was better; the best of the measurements."""
    weights = dict(model.named_parameters())
    if nats < best:
        write(run / "model.safetensors", weights)
    rest = {"step": torch.tensor(step), "best": torch.tensor(min(nats, best), dtype=torch.float64)}
    write(run / "pytorch_checkpoint.safetensors", weights | optimizer.state | rest)
    return min(nats, best)


@torch.no_grad()
def held_out_loss(model, documents, size, length, device):
    """Nats per token and bits per byte, each document from a fresh context and read in pieces of `length` tokens."""
    pieces = [d[i : i + length + 1] for d in documents for i in range(0, len(d) - 1, length)]
    tokens = sum(len(p) - 1 for p in pieces)
    nats = 0.0
    pieces.sort(key=len)
    for i in range(0, len(pieces), 16):
        part = pieces[i : i + 16]
        rows = torch.full((len(part), max(len(p) for p in part)), -100)
        for row, p in zip(rows, part):
            row[: len(p)] = torch.from_numpy(p.astype(np.int64))
        rows = rows.to(device)
        logits = model(rows[:, :-1].clamp(min=0)).logits.float()
        nats += F.cross_entropy(logits.transpose(1, 2), rows[:, 1:], reduction="sum", ignore_index=-100).item()
    return nats / tokens, nats / size / math.log(2)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("run", type=pathlib.Path, help="the folder that `cargo xtask train --prepare` wrote")
    a.add_argument("--stop-at", type=int, help="stop before this step, to be continued")
    a.add_argument("--max-steps", type=int, help="instead of the recipe's, to end a run earlier or later")
    a.add_argument("--float32", action="store_true", help="exactly as the Rust trainer; slower")
    a.add_argument("--compile", action="store_true", help="torch.compile the model")
    a.add_argument("--threads", type=int)
    a = a.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    s = json.loads((a.run / "training.json").read_text())
    if a.max_steps:
        s["max_steps"] = a.max_steps
    ids = np.fromfile(a.run / "tokens.bin", dtype="<u4")
    ends = np.fromfile(a.run / "documents.bin", dtype="<u4")
    documents = np.split(ids, ends[:-1])
    held_out, documents = documents[: s["held_out_documents"]], documents[s["held_out_documents"] :]
    batches = Batches(documents, s["sequence_length"], s["seed"])

    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(a.run), attn_implementation="eager").to(device)
    optimizer = Optimizer(model, s, not a.float32)
    weights, step, best = resume(a.run, optimizer)
    missing = model.load_state_dict(weights, strict=False).missing_keys
    if missing not in ([], ["lm_head.weight"]):
        raise SystemExit(f"weights: expected every tensor of the model, missing {missing}")

    def loss_of(x, y):
        with torch.autocast(device, dtype=torch.bfloat16, enabled=not a.float32):
            return F.cross_entropy(model(x).logits.float().flatten(0, 1), y.flatten())

    run = torch.compile(loss_of, dynamic=False) if a.compile else loss_of

    rows = s["batch_size"]
    stop = min(a.stop_at or s["max_steps"], s["max_steps"])
    began, first = time.time(), step
    while step < stop:
        loss = 0.0
        for part in range(s["gradient_accumulation_steps"]):
            x, y = batches.batch((step * s["gradient_accumulation_steps"] + part) * rows, rows)
            part_loss = run(x.to(device), y.to(device))
            (part_loss / s["gradient_accumulation_steps"]).backward()
            loss += part_loss.item() / s["gradient_accumulation_steps"]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), s["max_grad_norm"] or math.inf).item()
        step += 1
        optimizer.step(step, learning_rate(s, step))
        model.zero_grad(set_to_none=True)
        if step % 20 == 0 or step == first + 1:
            speed = (step - first) * rows * s["gradient_accumulation_steps"] * s["sequence_length"] / (time.time() - began)
            print(f"step {step} loss {loss:.4f} norm {norm:.2f} rate {learning_rate(s, step):.5f} {speed:.0f} tokens/s", flush=True)
        if step % s["eval_steps"] == 0 or step == stop:
            model.eval()
            nats, bits = held_out_loss(model, held_out, s["held_out_bytes"], s["sequence_length"], device)
            model.train()
            note = ", the best so far" if nats < best else ""
            print(f"step {step} held out {nats:.4f} nats per token, {bits:.4f} bits per byte{note}", flush=True)
            best = keep(a.run, model, optimizer, step, nats, best)


if __name__ == "__main__":
    main()

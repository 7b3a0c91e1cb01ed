"""Train the default English story model and write it as a Hugging Face folder.

    python models/stories/train.py --corpus tinystories.txt --out models/stories --minutes 45

Needs torch, tokenizers and safetensors. The learning rate follows the CPU time spent, so the run ends when
`--minutes` of CPU time are used however busy the machine is. The held-out stories (every hundredth document)
are never trained on; the last line printed is their loss in bits per byte, the end-of-text token scored too.

    python models/stories/train.py --corpus tinystories.txt --out models/stories --held-out held_out.txt
    cargo xtask eval --model models/stories --text held_out.txt
"""

import argparse
import json
import math
import pathlib
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"
CONFIG = {
    "architectures": ["GPT2LMHeadModel"],
    "model_type": "gpt2",
    "vocab_size": 2048,
    "n_positions": 512,
    "n_embd": 192,
    "n_layer": 6,
    "n_head": 6,
    "n_inner": None,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "dtype": "float16",
}


def train_tokenizer(stories):
    """Byte-level BPE over the stories; id 0 is the end-of-text token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(stories, trainer)
    return tokenizer


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (
            part.view(b, t, self.heads, c // self.heads).transpose(1, 2)
            for part in self.qkv(self.ln_1(x)).split(c, dim=2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class Model(nn.Module):
    """GPT-2 with tied embeddings, initialised as in its paper (residual projections scaled by depth)."""

    def __init__(self):
        super().__init__()
        width, layers = CONFIG["n_embd"], CONFIG["n_layer"]
        self.wte = nn.Embedding(CONFIG["vocab_size"], width)
        self.wpe = nn.Embedding(CONFIG["n_positions"], width)
        self.blocks = nn.ModuleList(Block(width, CONFIG["n_head"]) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / (math.sqrt(2 * layers) if residual else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T

    def export(self):
        """Tensors under their Hugging Face names; GPT-2 keeps its matrices input-major (Conv1D)."""
        out = {"wte.weight": self.wte.weight, "wpe.weight": self.wpe.weight}
        out |= {f"ln_f.{k}": v for k, v in self.ln_f.named_parameters()}
        names = {"ln_1": "ln_1", "ln_2": "ln_2", "qkv": "attn.c_attn", "out": "attn.c_proj",
                 "up": "mlp.c_fc", "down": "mlp.c_proj"}
        for i, block in enumerate(self.blocks):
            for ours, theirs in names.items():
                for kind, value in getattr(block, ours).named_parameters():
                    out[f"h.{i}.{theirs}.{kind}"] = value.T if value.dim() == 2 else value
        return {f"transformer.{k}": v.detach().half().contiguous() for k, v in out.items()}


@torch.no_grad()
def bits_per_byte(model, tokenizer, stories):
    """Held-out loss, each story from a fresh context that starts with the end-of-text token."""
    nats, size = 0.0, 0
    for story in stories:
        ids = [0, *tokenizer.encode(story).ids, 0][: CONFIG["n_positions"] + 1]
        ids = torch.tensor(ids)
        logits = model(ids[None, :-1])[0].float()
        nats += F.cross_entropy(logits, ids[1:], reduction="sum").item()
        size += len(tokenizer.decode(ids[1:].tolist()).encode())
    return nats / size / math.log(2)


def write(model, out):
    save_file(model.export(), str(out / "model.safetensors"), metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    (out / "generation_config.json").write_text(
        json.dumps({"bos_token_id": 0, "eos_token_id": 0}, indent=2) + "\n")
    (out / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": END, "eos_token": END,
         "model_max_length": CONFIG["n_positions"]}, indent=2) + "\n")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--corpus", type=pathlib.Path, required=True)
    a.add_argument("--out", type=pathlib.Path, required=True)
    a.add_argument("--held-out", type=pathlib.Path, help="write the stories kept out of training here, and stop")
    a.add_argument("--minutes", type=float, default=45)
    a.add_argument("--batch", type=int, default=16)
    a.add_argument("--threads", type=int, default=1)
    a = a.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(a.threads)
    a.out.mkdir(parents=True, exist_ok=True)

    stories = [s.strip() for s in a.corpus.read_text(encoding="utf-8").split(END) if s.strip()]
    held_out = stories[::100]
    if a.held_out:
        a.held_out.write_text(f"\n{END}\n".join(held_out), encoding="utf-8")
        return
    stories = [s for i, s in enumerate(stories) if i % 100]
    tokenizer = train_tokenizer(stories)
    tokenizer.save(str(a.out / "tokenizer.json"))
    data = torch.tensor([i for e in tokenizer.encode_batch(stories) for i in [0, *e.ids]])
    print(f"{len(stories)} stories, {len(data)} tokens", flush=True)

    model = Model()
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    groups = [{"params": [p for p in model.parameters() if p.dim() == 2], "weight_decay": 0.1},
              {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95))
    length, step, began, spent = CONFIG["n_positions"], 0, time.process_time(), 0.0
    while spent < 1:
        spent = (time.process_time() - began) / 60 / a.minutes
        rate = 3e-3 * min(1, (step + 1) / 100) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1, spent))))
        for group in optimiser.param_groups:
            group["lr"] = rate
        at = torch.randint(len(data) - length - 1, (a.batch,))
        x = torch.stack([data[i : i + length] for i in at])
        y = torch.stack([data[i + 1 : i + 1 + length] for i in at])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(x)
        loss = F.cross_entropy(logits.float().view(-1, CONFIG["vocab_size"]), y.view(-1))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        if step % 20 == 0:
            print(f"step {step} {100 * spent:.1f} % loss {loss.item():.3f}", flush=True)
        if step % 400 == 0:
            print(f"held-out bits per byte {bits_per_byte(model, tokenizer, held_out[:50]):.4f}", flush=True)
            write(model, a.out)
    write(model, a.out)
    print(f"held-out bits per byte {bits_per_byte(model, tokenizer, held_out):.4f}")


if __name__ == "__main__":
    main()

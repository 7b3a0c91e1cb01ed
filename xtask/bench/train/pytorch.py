"""One measurement of PyTorch: GPT-2 of `transformers`, its fused AdamW, fp32, as `cargo xtask bench train` asks for it.

    python pytorch.py --threads 2 < task.json

The task is `Task` of measure.js, and it is measured in the same way. Needs torch and transformers.
"""

import argparse
import json
import os
import sys
import time

arguments = argparse.ArgumentParser()
arguments.add_argument("--threads", type=int, default=1)
THREADS = arguments.parse_args().threads
# Read when torch is loaded.
os.environ["OMP_NUM_THREADS"] = str(THREADS)
os.environ["MKL_NUM_THREADS"] = str(THREADS)

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from transformers import GPT2Config, GPT2LMHeadModel  # noqa: E402


def main():
    task = json.load(sys.stdin)
    timing, adamw, batch = task["timing"], task["adamw"], task["batch"]
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=task["vocabulary"], n_layer=task["layers"], n_head=task["heads"], n_embd=task["width"],
        n_positions=task["context"], resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=0, eos_token_id=0, use_cache=False,
    )
    model = GPT2LMHeadModel(config).float().train()
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": adamw["decay"]}, {"params": others, "weight_decay": 0.0}],
        lr=adamw["rate"], betas=(adamw["beta1"], adamw["beta2"]), eps=adamw["epsilon"], fused=True,
    )
    rows = torch.tensor(task["rows"])
    taken, losses = 0, []

    def step():
        nonlocal taken
        part = rows[torch.arange(taken * batch, (taken + 1) * batch) % len(rows)]
        taken += 1
        logits = model(part[:, :-1]).logits
        loss = F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), adamw["clip"])
        optimizer.step()
        losses.append(loss.item())

    began, per_step = time.perf_counter(), float("inf")
    while taken < timing["warmSteps"] or time.perf_counter() - began < timing["warmSeconds"]:
        start = time.perf_counter()
        step()
        per_step = min(per_step, time.perf_counter() - start)
    steps = timing["steps"] or max(timing["leastSteps"], round(timing["seconds"] / max(per_step, 1e-4)))
    start = time.perf_counter()
    for _ in range(steps):
        step()
    seconds = time.perf_counter() - start
    print(json.dumps({
        "parameters": sum(p.numel() for p in model.parameters()),
        "how": f"eager, {model.config._attn_implementation} attention, fused AdamW",
        "steps": steps, "seconds": seconds, "losses": losses,
    }))


main()

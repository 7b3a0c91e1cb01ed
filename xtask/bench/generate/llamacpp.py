"""One measurement of native llama.cpp (llama-cpp-python, by its low-level calls): the yardstick of `cargo xtask bench`.

    python llamacpp.py --threads 2 < task.json

The task is `Task` of measure.js, with a path for its model, and it is measured in the same way.
"""

import argparse
import ctypes
import json
import sys
import time

import llama_cpp as llama
import numpy as np


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--threads", type=int, default=1)
    threads = arguments.parse_args().threads
    task = json.load(sys.stdin)

    silent = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(silent, ctypes.c_void_p(0))
    llama.llama_backend_init()
    began = time.perf_counter()
    model = llama.llama_model_load_from_file(task["model"].encode(), llama.llama_model_default_params())
    settings = llama.llama_context_default_params()
    settings.n_ctx = settings.n_batch = task["context"]
    settings.n_threads = settings.n_threads_batch = threads
    context = llama.llama_init_from_model(model, settings)
    load = time.perf_counter() - began
    vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))

    def feed(ids):
        # The batch only points at them, so they must live until it is done.
        tokens = (llama.llama_token * len(ids))(*ids)
        if llama.llama_decode(context, llama.llama_batch_get_one(tokens, len(ids))) != 0:
            raise RuntimeError(f"llama_decode refused {len(ids)} tokens")
        logits = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, -1), (vocabulary,))
        return int(logits.argmax())

    results = []
    for run in task["runs"]:
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        start = time.perf_counter()
        token = feed(run["ids"])
        first = time.perf_counter()
        for _ in range(run["newTokens"] - 1):
            token = feed([token])
        last = time.perf_counter()
        if run["timed"]:
            results.append({
                "promptTokens": len(run["ids"]), "newTokens": run["newTokens"],
                "prefill": len(run["ids"]) / (first - start),
                "decode": (run["newTokens"] - 1) / (last - first),
            })
    how = f"llama-cpp-python {llama.__version__}, compiled for this processor"
    print(json.dumps({"loadMs": 1000 * load, "how": how, "memoryBytes": None, "runs": results}))


main()

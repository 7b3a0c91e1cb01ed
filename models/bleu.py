"""BLEU and chrF of a translator on sentences it was not trained on.

    python models/pairs.py --recipe models/translator/recipe.toml --corpus ../shared/data/parallel/eng-fra.tsv --out run --prepare
    python models/bleu.py models/translator run/held_out.txt

An encoder-decoder is given the sentence; with --continues a model that goes on with a text is given its line and the
beginning of the next one, as held_out.txt has them, and the rest of that line is taken.

Every English sentence of held_out.txt is translated once, with the engine of the page (`cargo xtask generate`), greedily
and with four beams, and held against all of its French translations. Beside it stands what the English sentences get as
they are, untranslated. Needs sacrebleu, and cargo with what `cargo xtask` needs.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

from sacrebleu.metrics import BLEU, CHRF

ENGLISH, FRENCH, END = "English: ", "French:", "\n<|endoftext|>\n"
ROOT = pathlib.Path(__file__).resolve().parent.parent


def references(path):
    """The French translations of each English sentence."""
    pairs = {}
    for document in path.read_text(encoding="utf-8").strip().split(END):
        lines = document.split("\n")
        if len(lines) != 2 or not lines[0].startswith(ENGLISH) or not lines[1].startswith(FRENCH):
            raise SystemExit(f"{path}: expected '{ENGLISH}…' and '{FRENCH} …' on two lines, found {document!r}")
        pairs.setdefault(lines[0].removeprefix(ENGLISH), []).append(lines[1].removeprefix(FRENCH).strip())
    return pairs


def translate(model, sentences, beams, continues):
    """The model's translation of each sentence, and how many came to an end."""
    prompts = [f"{ENGLISH}{sentence}\n{FRENCH}" if continues else sentence for sentence in sentences]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(END.join(prompts))
        file.flush()
        command = ["cargo", "xtask", "generate", "--model", model.resolve(), "--prompts", file.name, "--json"]
        command += ["--max-new-tokens", "60", "--do-sample", "false", "--num-beams", str(beams)]
        out = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True).stdout
    answers = [json.loads(line) for line in out.splitlines()]
    if len(answers) != len(sentences):
        raise SystemExit(f"expected {len(sentences)} translations, found {len(answers)}")
    ended = sum(answer["finish_reason"] != "length" for answer in answers)
    # What is written after the line end is no part of the translation.
    return [answer["text"].strip().split("\n")[0].strip() for answer in answers], ended


def streams(pairs):
    """The references as sacrebleu takes them: the first translations, the second ones and so on; it passes over None."""
    most = max(map(len, pairs.values()))
    return [[t[i] if i < len(t) else None for t in pairs.values()] for i in range(most)]


def report(name, hypotheses, pairs):
    scores = [(metric, metric.corpus_score(hypotheses, streams(pairs)).score) for metric in (BLEU(), CHRF())]
    same = sum(h in t for h, t in zip(hypotheses, pairs.values()))
    values = "  ".join(f"{score:5.1f}" for _, score in scores)
    print(f"{name:24}  {values}  {100 * same / len(pairs):6.1f} %", flush=True)
    return [str(metric.get_signature()) for metric, _ in scores]


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("model", type=pathlib.Path, help="a folder or a .gguf file")
    a.add_argument("held_out", type=pathlib.Path, help="held_out.txt of the run")
    a.add_argument("--continues", action="store_true", help="the model goes on with a text")
    a.add_argument("--show", type=int, default=0, metavar="N", help="print the first N sentences as well")
    a = a.parse_args()
    pairs = references(a.held_out)
    print(f"{len(pairs)} English sentences, {sum(map(len, pairs.values()))} French references")
    print(f"{'':24}   BLEU   chrF  as a reference")
    report("the English, as it is", list(pairs), pairs)
    for name, beams in ("greedy", 1), ("4 beams", 4):
        hypotheses, ended = translate(a.model, list(pairs), beams, a.continues)
        signatures = report(name, hypotheses, pairs)
        if ended < len(pairs):
            print(f"{'':24}  {len(pairs) - ended} were cut off at 60 tokens")
        for english, french in list(zip(pairs, hypotheses))[: a.show]:
            print(f"    {english}  →  {french}   ({' / '.join(pairs[english])})")
    print("\n".join(signatures))


if __name__ == "__main__":
    main()

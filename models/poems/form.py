"""How well-formed the poems are that the model writes from opening lines it was not trained on.

    cargo xtask train --recipe models/poems/recipe.toml --corpus ../shared/data/chinese/quantangshi_regular.txt --out run --prepare
    python models/poems/form.py models/poems run/held_out.txt ../shared/data/chinese/quantangshi_regular.txt

The model (`cargo xtask generate`, with the page's settings) gets the first line of held-out poems up to the comma and goes
on until it ends by itself. Printed beside the same of the poems whose first lines these are:

- form: two or four couplets, every line five characters or every line seven, marked ，and 。(or ？！；);
- rhyme: of the characters at the ends of a poem's even lines, taken two by two, the share that stand there together in
  some poem of the corpus that is not held out. The same character twice is no rhyme. For comparison two such characters
  of different held-out poems: chance finds partners as well, as many characters rhyme with many;
- borrowed: the share of lines, after the first, that are in some poem of the corpus that is not held out.

Needs nothing but Python, and cargo with what `cargo xtask` needs.
"""

import argparse
import itertools
import json
import pathlib
import random
import re
import subprocess
import tempfile

END = "\n<|endoftext|>\n"
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COUPLET = re.compile(r"(\w+)[，？！；](\w+)[。？！；]")


def lines(poem):
    """The lines of a poem, two from each couplet; None for a poem that is not made of couplets."""
    couplets = [COUPLET.fullmatch(couplet) for couplet in poem.split("\n")]
    return [line for couplet in couplets for line in couplet.groups()] if all(couplets) else None


def well_formed(poem):
    found = lines(poem)
    return found is not None and len(found) in (4, 8) and {len(line) for line in found} in ({5}, {7})


def rhymes(poem):
    """The pairs of characters at the ends of a poem's even lines."""
    return itertools.combinations([line[-1] for line in (lines(poem) or [])[1::2]], 2)


def read_corpus(path, held_out):
    """The poems that are not held out: a title, a poet and the couplets, with an empty line between two poems."""
    poems = ["\n".join(p.split("\n")[2:]) for p in path.read_text(encoding="utf-8").strip().split("\n\n")]
    return [poem for poem in poems if poem not in held_out]


def write_poems(model, openings, seed):
    """The poem that the model makes of each opening, and whether it came to an end."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(END.join(openings))
        file.flush()
        command = ["cargo", "xtask", "generate", "--model", model.resolve(), "--prompts", file.name, "--json"]
        command += "--do-sample --temperature 0.8 --top-k 40 --top-p 0.95 --max-new-tokens 100 --seed".split()
        command += [str(seed)]
        out = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True).stdout
    answers = [json.loads(line) for line in out.splitlines()]
    if len(answers) != len(openings):
        raise SystemExit(f"expected {len(openings)} poems, found {len(answers)}")
    return [(opening + a["text"].strip(), a["finish_reason"] != "length") for opening, a in zip(openings, answers)]


def share(values):
    values = list(values)
    return f"{100 * sum(values) / len(values):6.1f} % of {len(values):5}" if values else f"{'none':>17}"


def main():
    a = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    a.add_argument("model", type=pathlib.Path, help="a folder or a .gguf file")
    a.add_argument("held_out", type=pathlib.Path, help="held_out.txt of the run")
    a.add_argument("corpus", type=pathlib.Path, help="the text that the recipe was run on")
    a.add_argument("--count", type=int, default=200, help="poems to write")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--show", type=int, default=0, metavar="N", help="print the first N poems as well")
    a = a.parse_args()
    held_out = a.held_out.read_text(encoding="utf-8").strip().split(END)
    seen = read_corpus(a.corpus, set(held_out))
    partners = {frozenset(pair) for poem in seen for pair in rhymes(poem) if pair[0] != pair[1]}
    known = {line for poem in seen for line in lines(poem) or []}

    draw = random.Random(a.seed)
    real = draw.sample(held_out, min(a.count, len(held_out)))
    written = write_poems(a.model, [poem.split("，")[0] + "，" for poem in real], a.seed)

    def print_row(name, poems, ended):
        pairs = [pair for poem in poems for pair in rhymes(poem)]
        after_first = [line for poem in poems for line in (lines(poem) or [])[1:]]
        print(f"{name}")
        print(f"    well-formed and ended  {share(well_formed(p) and end for p, end in zip(poems, ended))} poems")
        print(f"    ended by itself        {share(ended)} poems")
        print(f"    rhymes                 {share(frozenset(pair) in partners for pair in pairs)} pairs")
        print(f"    borrowed               {share(line in known for line in after_first)} lines")

    print_row("the model's", *zip(*written))
    print_row("the poets'", real, [True] * len(real))
    ends = [ends for ends in ([line[-1] for line in (lines(poem) or [])[1::2]] for poem in held_out) if ends]
    chance = [[draw.choice(poem) for poem in draw.sample(ends, 2)] for _ in range(10_000)]
    print(f"of two different poems\n    rhymes                 {share(frozenset(pair) in partners for pair in chance)} pairs")
    for poem, end in written[: a.show]:
        print(f"\n{poem}{'' if end else '……'}{'' if well_formed(poem) else '   (not well-formed)'}")


if __name__ == "__main__":
    main()

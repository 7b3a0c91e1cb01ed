"""A model with random weights and the graphs transformers.js loads, exported by optimum, from the config.json of a folder.

    python make_export.py FOLDER TASK

TASK is optimum's, such as `feature-extraction` or `text2text-generation-with-past`. Writes FOLDER/model.safetensors and
FOLDER/onnx/NAME.onnx (fp32) with NAME_quantized.onnx (dynamic int8, which transformers.js calls q8) for each graph it
needs. Needs optimum-onnx, onnxruntime, torch and transformers.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import torch
import transformers
from onnxruntime.quantization import QuantType, quantize_dynamic
from optimum.exporters.onnx import main_export

# Of an encoder-decoder the graph that works with and without a past is the one that is loaded.
GRAPHS = ["model", "encoder_model", "decoder_model_merged"]


def main():
    folder, task = pathlib.Path(sys.argv[1]), sys.argv[2]
    config = transformers.AutoConfig.from_pretrained(folder)
    [name] = json.loads((folder / "config.json").read_text())["architectures"]
    torch.manual_seed(1234)
    model = getattr(transformers, name)(config).eval()
    place = folder / "onnx"
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        model.save_pretrained(work / "model")
        main_export(str(work / "model"), output=work / "onnx", task=task, opset=17, do_validation=False)
        for graph in (work / "onnx" / f"{name}.onnx" for name in GRAPHS):
            if not graph.exists():
                continue
            shutil.copy(graph, place / graph.name)
            quantize_dynamic(str(graph), str(place / f"{graph.stem}_quantized.onnx"), weight_type=QuantType.QInt8,
                             extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True})
        # Whoever finds this file takes the folder to be complete.
        shutil.copy(work / "model" / "model.safetensors", folder / "model.safetensors")


main()

"""The graphs transformers.js loads, from a GPT-2 checkpoint in a Hugging Face folder.

    python make_onnx.py FOLDER

Writes FOLDER/onnx/model.onnx (fp32) and model_quantized.onnx (dynamic int8, which transformers.js calls q8): a decoder
that is given keys and values of the past and gives the present ones, of plain operators, as optimum exports it. Needs
numpy, onnx, onnxruntime and safetensors.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

LOWEST = float(np.finfo(np.float32).min)


class Graph:
    """Operators and constants under names of their own; a constant that is given twice is kept once."""

    def __init__(self):
        self.nodes, self.constants = [], {}

    def keep(self, name, values):
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def ints(self, *values):
        return self.keep(f"ints {values}", np.array(values, np.int64))

    def int(self, value):
        return self.keep(f"int {value}", np.array(value, np.int64))

    def float(self, value):
        return self.keep(f"float {value}", np.array(value, np.float32))

    def add(self, operator, *inputs, to=None, count=1, **attributes):
        name = f"{operator} {len(self.nodes)}"
        outputs = [to] if to else [f"{name} {i}" for i in range(count)]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, name=name, **attributes))
        return outputs if count > 1 else outputs[0]


def decoder(config, weights):
    layers, heads, width = config["n_layer"], config["n_head"], config["n_embd"]
    dim, epsilon = width // heads, config["layer_norm_epsilon"]
    graph = Graph()
    add = graph.add

    def weight(name):
        return graph.keep(name, weights[f"transformer.{name}"])

    def linear(x, name):
        return add("Add", add("MatMul", x, weight(f"{name}.weight")), weight(f"{name}.bias"))

    def norm(x, name):
        return add("LayerNormalization", x, weight(f"{name}.weight"), weight(f"{name}.bias"), epsilon=epsilon)

    def by_head(x):
        return add("Transpose", add("Reshape", x, graph.ints(0, 0, heads, dim)), perm=[0, 2, 1, 3])

    def gelu(x):
        inner = add("Add", x, add("Mul", graph.float(0.044715), add("Pow", x, graph.float(3.0))))
        tanh = add("Tanh", add("Mul", graph.float(float(np.sqrt(2 / np.pi))), inner))
        return add("Mul", add("Mul", x, graph.float(0.5)), add("Add", tanh, graph.float(1.0)))

    # A position sees those up to its own that the mask allows.
    total = add("Gather", add("Shape", "attention_mask"), graph.int(1))
    past = add("Gather", add("Shape", "past_key_values.0.key"), graph.int(2))
    rows = add("Unsqueeze", add("Range", past, total, graph.int(1)), graph.ints(1))
    columns = add("Unsqueeze", add("Range", graph.int(0), total, graph.int(1)), graph.ints(0))
    allowed = add("Unsqueeze", add("Equal", "attention_mask", graph.int(1)), graph.ints(1, 2))
    seen = add("And", add("LessOrEqual", columns, rows), allowed)
    bias = add("Where", seen, graph.float(0.0), graph.float(LOWEST))

    tokens = add("Gather", weight("wte.weight"), "input_ids")
    x = add("Add", tokens, add("Gather", weight("wpe.weight"), "position_ids"))
    for i in range(layers):
        qkv = linear(norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.c_attn")
        q, k, v = (by_head(part) for part in add("Split", qkv, graph.ints(width, width, width), count=3, axis=2))
        k = add("Concat", f"past_key_values.{i}.key", k, to=f"present.{i}.key", axis=2)
        v = add("Concat", f"past_key_values.{i}.value", v, to=f"present.{i}.value", axis=2)
        scores = add("MatMul", q, add("Transpose", k, perm=[0, 1, 3, 2]))
        scores = add("Add", add("Div", scores, graph.float(float(np.sqrt(dim)))), bias)
        mixed = add("Transpose", add("MatMul", add("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        mixed = add("Reshape", mixed, graph.ints(0, 0, width))
        x = add("Add", x, linear(mixed, f"h.{i}.attn.c_proj"))
        up = gelu(linear(norm(x, f"h.{i}.ln_2"), f"h.{i}.mlp.c_fc"))
        x = add("Add", x, linear(up, f"h.{i}.mlp.c_proj"))
    # The head is a matrix of its own, as in an export.
    head = graph.keep("lm_head", weights["transformer.wte.weight"].T)
    add("MatMul", norm(x, "ln_f"), head, to="logits")
    return graph


def save(graph, config, place):
    heads, dim = config["n_head"], config["n_embd"] // config["n_head"]

    def value(name, kind, *shape):
        return helper.make_tensor_value_info(name, kind, list(shape))

    inputs = [
        value("input_ids", TensorProto.INT64, "batch_size", "sequence_length"),
        value("attention_mask", TensorProto.INT64, "batch_size", "total_sequence_length"),
        value("position_ids", TensorProto.INT64, "batch_size", "sequence_length"),
    ]
    outputs = [value("logits", TensorProto.FLOAT, "batch_size", "sequence_length", config["vocab_size"])]
    for i in range(config["n_layer"]):
        for part in ("key", "value"):
            shape = ("batch_size", heads, "past_sequence_length", dim)
            inputs.append(value(f"past_key_values.{i}.{part}", TensorProto.FLOAT, *shape))
            shape = ("batch_size", heads, "total_sequence_length", dim)
            outputs.append(value(f"present.{i}.{part}", TensorProto.FLOAT, *shape))
    body = helper.make_graph(graph.nodes, "decoder", inputs, outputs, list(graph.constants.values()))
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(place))


def main():
    folder = pathlib.Path(sys.argv[1])
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(str(folder / "model.safetensors"))
    (folder / "onnx").mkdir(exist_ok=True)
    full, part = folder / "onnx" / "model.onnx", folder / "onnx" / "part.onnx"
    save(decoder(config, weights), config, full)
    quantize_dynamic(str(full), str(part), weight_type=QuantType.QInt8, extra_options={
        "EnableSubgraph": True, "MatMulConstBOnly": True, "DefaultTensorType": TensorProto.FLOAT,
    })
    part.rename(folder / "onnx" / "model_quantized.onnx")


main()

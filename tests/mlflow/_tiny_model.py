# SPDX-License-Identifier: Apache-2.0
"""Writes a model of llama.cpp's format, with random weights and 272 tokens: _tiny_model.py FILE. What it says is noise, but
real servers serve it within milliseconds."""

import sys

import gguf
import numpy

WIDTH, INNER, HEADS = 32, 64, 2
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"

tokens = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
tokens += [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
tokens += [(word, NORMAL) for word in "▁the ▁bike ▁park ▁where ▁is ▁a ▁rain ▁Grüße ▁日本 ▁ride . , ▁".split()]


def write(path: str) -> None:
    random = numpy.random.default_rng(1)
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("tiny random")
    out.add_context_length(8192)
    out.add_embedding_length(WIDTH)
    out.add_feed_forward_length(INNER)
    out.add_block_count(1)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_vocab_size(len(tokens))
    out.add_file_type(0)
    out.add_tokenizer_model("llama")
    out.add_token_list([text.encode() for text, _ in tokens])
    out.add_token_types([kind for _, kind in tokens])
    out.add_token_scores([-float(max(place - 259, 0)) for place in range(len(tokens))])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    out.add_chat_template(TEMPLATE)
    weights = {"token_embd": (len(tokens), WIDTH), "output": (len(tokens), WIDTH)}
    weights |= {f"blk.0.attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
    weights |= {"blk.0.ffn_gate": (INNER, WIDTH), "blk.0.ffn_up": (INNER, WIDTH), "blk.0.ffn_down": (WIDTH, INNER)}
    for name, shape in weights.items():
        out.add_tensor(f"{name}.weight", (random.standard_normal(shape) * 0.5).astype(numpy.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        out.add_tensor(f"{name}.weight", numpy.ones(WIDTH, numpy.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


write(sys.argv[1])

//! llama.cpp's mixture Q4_K_M, written from a GGUF file in F32: most matrices as Q4_K, those that a model suffers most
//! from with more bits (`llama_tensor_get_type` in llama.cpp's llama-quant.cpp has the rules).
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};
use inkling::files::Files;
use inkling::kernels::Format;
use inkling::weights::{GgufWriter, Planned, Value, Weights};

/// `general.file_type` of a file in this mixture.
const FILE_TYPE: u32 = 15;

/// Writes the mixture of the model in `from`.
pub fn write(from: &Path, to: &Path) -> Result<()> {
    let mut files = Files::open(from)?;
    let name = files.gguf().with_context(|| format!("expected a GGUF file, found {}", from.display()))?;
    let mut weights = Weights::gguf(&mut files, &name)?;
    let metadata = weights.metadata();
    let pairs: Vec<(String, Value)> = metadata
        .keys()
        .filter_map(|key| match key {
            "general.file_type" => Some((key.to_string(), Value::U32(FILE_TYPE))),
            key => Some((key.to_string(), metadata.writable(key)?)),
        })
        .collect();
    let architecture = metadata.get_str("general.architecture")?.unwrap_or_default();
    let layers = metadata.get_u64(&format!("{architecture}.block_count"))?.unwrap_or_default() as usize;
    let names: Vec<String> = weights.names().map(String::from).collect();
    let mut table = Vec::new();
    for name in names {
        let shape = weights.expect(&name)?.shape.clone();
        table.push(Planned { format: choose(&name, &shape, layers), name, shape });
    }
    let mut out = BufWriter::new(File::create(to).with_context(|| format!("creating {}", to.display()))?);
    let mut writer = GgufWriter::start(&mut out, &pairs, &table)?;
    for Planned { name, shape, format } in &table {
        let bytes = weights.read(name)?;
        writer.tensor(&encode(&bytes, shape.last().copied().unwrap_or(1), *format))?;
    }
    writer.finish()?;
    Ok(())
}

/// Rows of f32 values in another format.
fn encode(bytes: &[u8], len: usize, format: Format) -> Vec<u8> {
    let row_bytes = format.row_bytes(len).unwrap_or_default();
    let mut out = vec![0; bytes.len() / (4 * len) * row_bytes];
    let mut values = vec![0f32; len];
    for (row, out) in bytes.chunks_exact(4 * len).zip(out.chunks_exact_mut(row_bytes)) {
        Format::F32.dequantize(row, &mut values);
        format.quantize(&values, out);
    }
    out
}

/// The format of a tensor.
fn choose(name: &str, shape: &[usize], layers: usize) -> Format {
    let &[_, cols] = shape else { return Format::F32 };
    if name == "position_embd.weight" {
        return Format::F32;
    }
    let layer = name.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse().ok()).unwrap_or(0);
    let wanted = match name.trim_end_matches(".weight").rsplit('.').next() {
        // The embedding is the head as well.
        Some("token_embd" | "output") => Format::Q6_K,
        Some("attn_qkv" | "attn_v" | "ffn_down") if has_more_bits(layer, layers) => Format::Q6_K,
        _ => Format::Q4_K,
    };
    let smaller = if wanted == Format::Q4_K { Format::Q5_0 } else { Format::Q8_0 };
    [wanted, smaller].into_iter().find(|format| format.row_bytes(cols).is_some()).unwrap_or(Format::F16)
}

/// The first and the last eighth of the layers, and every third between.
fn has_more_bits(layer: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_with_more_bits_are_those_of_llama_cpp() {
        let more: Vec<usize> = (0..12).filter(|&layer| has_more_bits(layer, 12)).collect();
        assert_eq!(more, [0, 3, 6, 9, 10, 11]);
    }

    #[test]
    fn formats_are_chosen_by_name_and_width() {
        let chosen = |name: &str, cols| choose(name, &[8, cols], 12);
        assert_eq!(chosen("token_embd.weight", 768), Format::Q6_K);
        assert_eq!(chosen("blk.0.attn_qkv.weight", 768), Format::Q6_K);
        assert_eq!(chosen("blk.1.attn_qkv.weight", 768), Format::Q4_K);
        assert_eq!(chosen("blk.1.ffn_down.weight", 3072), Format::Q4_K);
        assert_eq!(chosen("blk.3.ffn_down.weight", 3072), Format::Q6_K);
        assert_eq!(chosen("blk.1.ffn_up.weight", 576), Format::Q5_0);
        assert_eq!(chosen("blk.0.ffn_down.weight", 1440), Format::Q8_0);
        assert_eq!(choose("blk.1.attn_norm.weight", &[768], 12), Format::F32);
    }
}

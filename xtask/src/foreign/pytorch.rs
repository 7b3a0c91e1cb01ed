//! `pytorch_model.bin`: a ZIP file with a pickle that says what the tensors are, and their bytes. The pickle is read, not
//! run (candle's reader knows the few classes that tensors are made of).
use std::fs::File;
use std::io::{BufReader, Read, copy, sink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use candle_core::DType;
use candle_core::pickle::{TensorInfo, read_pth_tensor_info};
use inkling::kernels::Format;
use zip::ZipArchive;

use super::{Foreign, names};

/// The files of weights in a folder: one, or the shards of one.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let all = names(folder)?;
    let wanted = |name: &&String| {
        let shard = name.strip_prefix("pytorch_model-").is_some_and(|rest| rest.ends_with(".bin"));
        shard || name.as_str() == "pytorch_model.bin"
    };
    Ok(all.iter().filter(wanted).map(|name| folder.join(name)).collect())
}

/// The tensors of numbers; masks and positions that a model computes by itself are left out.
pub fn tensors(files: &[PathBuf]) -> Result<Vec<Foreign>> {
    let mut tensors = Vec::new();
    for file in files {
        let infos = read_pth_tensor_info(file, false, None).with_context(|| {
            format!("{}: expected a checkpoint that PyTorch has saved as a ZIP file", file.display())
        })?;
        for info in infos {
            let Some(format) = format(info.dtype) else { continue };
            let layout = &info.layout;
            ensure!(
                layout.is_contiguous(),
                "{}: expected the values of {} one after the other, found them with strides {:?}",
                file.display(),
                info.name,
                layout.stride()
            );
            let (name, shape, file) = (info.name.clone(), layout.dims().to_vec(), file.clone());
            tensors.push(Foreign::new(name, shape, format, move || read(&file, &info)));
        }
    }
    tensors.sort_by(|a, b| a.planned.name.cmp(&b.planned.name));
    Ok(tensors)
}

fn format(dtype: DType) -> Option<Format> {
    match dtype {
        DType::F32 => Some(Format::F32),
        DType::F16 => Some(Format::F16),
        DType::BF16 => Some(Format::BF16),
        _ => None,
    }
}

fn read(file: &Path, info: &TensorInfo) -> Result<Vec<u8>> {
    let context = || format!("{}: reading {}", file.display(), info.name);
    let mut archive = ZipArchive::new(BufReader::new(File::open(file).with_context(context)?)).with_context(context)?;
    let mut entry = archive.by_name(&info.path).with_context(context)?;
    // Candle's reader has counted the bytes before it, not the values.
    let (skipped, len) = (info.layout.start_offset(), info.layout.shape().elem_count() * info.dtype.size_in_bytes());
    let found = entry.size();
    ensure!(
        found >= (skipped + len) as u64,
        "{}: expected {} bytes for {}, found {found}",
        file.display(),
        skipped + len,
        info.name
    );
    copy(&mut entry.by_ref().take(skipped as u64), &mut sink()).with_context(context)?;
    let mut bytes = vec![0; len];
    entry.read_exact(&mut bytes).with_context(context)?;
    Ok(bytes)
}

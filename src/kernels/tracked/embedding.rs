//! Rows of a table.

use super::{Output, accumulate, gradient, lend, output, values, zeros};
use crate::error::{Error, Result};
use candle_core::{CpuStorage, CustomOp1, Layout, Tensor};

/// The rows of `table` (`[entries, width]`) with these ids. Its gradient adds each row's to the entry it came from.
///
/// # Errors
/// [`Error::BadParameter`] for an id outside the table.
pub fn embedding(table: &Tensor, ids: &[u32]) -> Result<Tensor> {
    let entries = table.dims2()?.0;
    check_ids("ids", ids, entries)?;
    Ok(table.contiguous()?.apply_op1(Rows(ids.to_vec()))?)
}

/// Refuses ids that are not below `limit`.
pub(super) fn check_ids(name: &str, ids: &[u32], limit: usize) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= limit) {
        Some(id) => Err(Error::BadParameter {
            name: name.into(),
            expected: format!("token ids below {limit}"),
            found: id.to_string(),
        }),
        None => Ok(()),
    }
}

struct Rows(Vec<u32>);

impl CustomOp1 for Rows {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(&self, table: &CpuStorage, layout: &Layout) -> Output {
        let (table, width) = (values(table, layout)?, layout.dims()[1]);
        let rows = zeros(self.0.len() * width).map(|mut rows| {
            for (row, &id) in rows.chunks_exact_mut(width.max(1)).zip(&self.0) {
                row.copy_from_slice(&table[id as usize * width..][..width]);
            }
            rows
        });
        output(rows, (self.0.len(), width))
    }

    fn bwd(&self, table: &Tensor, _: &Tensor, dy: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let width = table.dims2()?.1;
        let sums = lend([dy], |[dy]| {
            let mut sums = zeros(table.elem_count())?;
            for (row, &id) in dy.chunks_exact(width.max(1)).zip(&self.0) {
                accumulate(&mut sums[id as usize * width..][..width], row);
            }
            Ok(sums)
        })?;
        Ok(Some(gradient(sums, table)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{check, random};
    use super::*;
    use candle_core::Device;

    #[test]
    fn embedding_is_its_plain_twin() {
        let ids = [4, 0, 4, 2, 4];
        check(
            &[random((6, 5), 1)],
            |t| embedding(&t[0], &ids),
            |t| t[0].index_select(&Tensor::new(&ids, &Device::Cpu)?, 0),
        );
        assert_eq!(embedding(&random((6, 5), 1), &[6]).unwrap_err().code(), "bad_parameter");
    }
}

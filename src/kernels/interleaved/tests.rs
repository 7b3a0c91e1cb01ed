//! The layouts against the decoding of their formats and against plain integer arithmetic.

use super::*;
use crate::kernels::activations::Activations;
use crate::kernels::values;

const FORMATS: [Format; 6] = [Format::Q8_0, Format::Q5_0, Format::Q4_0, Format::Q4_K, Format::Q5_K, Format::Q6_K];

/// Four rows as a file has them, and laid out.
fn group(format: Format, cols: usize) -> (Layout, Vec<u8>, Vec<u8>) {
    let mut rows = vec![0u8; ROWS * format.row_bytes(cols).unwrap()];
    format.quantize(&values(ROWS * cols, 7), &mut rows);
    let layout = Layout::of(format, &rows).unwrap();
    let mut group = vec![0u8; layout.group_bytes(cols)];
    let row_bytes = rows.len() / ROWS;
    layout.lay_out(format, std::array::from_fn(|r| &rows[r * row_bytes..][..row_bytes]), &mut group);
    (layout, rows, group)
}

#[test]
fn rows_are_those_of_the_file() {
    for format in FORMATS {
        let cols = 2 * 256;
        let (layout, rows, group) = group(format, cols);
        let mut panel = layout.panel(cols).unwrap();
        layout.unpack(&group, &mut panel);
        for (r, row) in rows.chunks(rows.len() / ROWS).enumerate() {
            let (mut wanted, mut found) = (vec![0f32; cols], vec![0f32; cols]);
            format.dequantize(row, &mut wanted);
            panel.row(r, &mut found);
            assert_eq!(found, wanted, "{format:?}, row {r}");
        }
    }
}

/// Single rows and batches give the same bits, near those of the decoded weights.
#[test]
fn every_kernel_gives_the_same_bits() {
    for format in FORMATS {
        for (units, n) in [(1, 1), (3, 2), (2, 4), (5, 11)] {
            let cols = units * format.block_len();
            let (layout, rows, group) = group(format, cols);
            let x = values(n * cols, 9);
            let mut decoded = vec![0f32; ROWS * cols];
            format.dequantize(&rows, &mut decoded);
            let mut found = vec![[0f32; ROWS]; n];
            let store = |i: usize, _, sums: &[[f32; ROWS]]| found[i] = sums[0];
            multiply(layout, &group, &Activations::new(&x, cols).unwrap(), store).unwrap();
            for (x, found) in x.chunks(cols).zip(found) {
                let alone = Activations::new(x, cols).unwrap();
                let mut again = [[0f32; ROWS]];
                layout.multiply(&group, alone.row(0), &mut again);
                assert_eq!(again, [found], "{format:?}, {n} rows of {cols}");
                for (w, found) in decoded.chunks(cols).zip(found) {
                    let wanted: f64 = w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                    // Each activation is off by half a step of 0.5 / 32767 at most.
                    let rounded = w.iter().map(|w| w.abs()).sum::<f32>() * 0.5 / 32767.0;
                    let off = (f64::from(found) - wanted).abs() as f32;
                    assert!(off <= rounded + 1e-5, "{format:?}: expected {wanted}, found {found}");
                }
            }
        }
    }
}

/// What is largest in every place does not overflow.
#[test]
fn extremes_do_not_overflow() {
    for format in FORMATS {
        let cols = 256;
        let mut rows = vec![0u8; ROWS * format.row_bytes(cols).unwrap()];
        format.quantize(&[-1f32; 4 * 256], &mut rows);
        let layout = Layout::of(format, &rows).unwrap();
        let row_bytes = rows.len() / ROWS;
        let mut group = vec![0u8; layout.group_bytes(cols)];
        layout.lay_out(format, std::array::from_fn(|r| &rows[r * row_bytes..][..row_bytes]), &mut group);
        for x in [1e3f32, -1e3] {
            let x = Activations::new(&[x; 256], cols).unwrap();
            let wanted = -256.0 * f32::from(x.row(0).values[0][0]) * x.row(0).scales[0];
            let mut found = [[0f32; ROWS]];
            layout.multiply(&group, x.row(0), &mut found);
            for found in found.as_flattened() {
                assert!((found / wanted - 1.0).abs() < 0.02, "{format:?}: expected {wanted}, found {found}");
            }
        }
    }
}

//! For tests: whether an operation and its gradient are those of a plain twin, and the gradient that of differences.

use crate::error::Result;
use candle_core::{Device, Shape, Tensor, Var};

/// Values in −0.5..0.5, the same for the same seed.
pub fn random(shape: impl Into<Shape>, seed: u32) -> Tensor {
    let shape = shape.into();
    Tensor::from_vec(crate::kernels::values(shape.elem_count(), seed), shape, &Device::Cpu).unwrap()
}

/// A fixed weighted sum, so that every value of the result has a gradient of its own.
fn loss(y: &Tensor) -> Tensor {
    y.mul(&random(y.shape(), 99)).unwrap().sum_all().unwrap()
}

fn flat(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn compare(what: &str, found: &Tensor, wanted: &Tensor) {
    assert_eq!(found.dims(), wanted.dims(), "{what}");
    let wanted = flat(wanted);
    let size = wanted.iter().fold(1e-2f32, |size, value| size.max(value.abs()));
    for (i, (found, wanted)) in flat(found).iter().zip(&wanted).enumerate() {
        assert!((found - wanted).abs() < 3e-5 * size, "{what}, value {i}: expected {wanted}, found {found}");
    }
}

/// Compares result and gradients of `op` with those of `twin`, and some gradients with finite differences of `op`, so
/// that an error in both would show.
pub fn check(
    operands: &[Tensor],
    op: impl Fn(&[Tensor]) -> Result<Tensor>,
    twin: impl Fn(&[Tensor]) -> candle_core::Result<Tensor>,
) {
    let vars: Vec<Var> = operands.iter().map(|t| Var::from_tensor(t).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let (found, wanted) = (op(&tensors).unwrap(), twin(&tensors).unwrap());
    compare("result", &found, &wanted);
    compare("result without gradients", &op(operands).unwrap(), &wanted);
    let (found, wanted) = (loss(&found).backward().unwrap(), loss(&wanted).backward().unwrap());
    for (i, var) in vars.iter().enumerate() {
        let gradient = found.get(var).unwrap();
        compare(&format!("gradient {i}"), gradient, wanted.get(var).unwrap());
        differences(&tensors, i, &flat(gradient), &op);
    }
}

/// Compares a few values of a gradient with central differences of the operation.
fn differences(tensors: &[Tensor], which: usize, gradient: &[f32], op: &impl Fn(&[Tensor]) -> Result<Tensor>) {
    const STEP: f32 = 1e-2;
    let values = flat(&tensors[which]);
    let size = gradient.iter().fold(1e-1f32, |size, value| size.max(value.abs()));
    for at in (0..values.len()).step_by(values.len().div_ceil(7)) {
        let moved = |step: f32| {
            let mut values = values.clone();
            values[at] += step;
            let mut tensors: Vec<Tensor> = tensors.iter().map(Tensor::detach).collect();
            tensors[which] = Tensor::from_vec(values, tensors[which].shape(), &Device::Cpu).unwrap();
            let y = op(&tensors).unwrap();
            flat(&y).iter().zip(flat(&random(y.shape(), 99))).map(|(y, w)| f64::from(*y) * f64::from(w)).sum::<f64>()
        };
        let slope = ((moved(STEP) - moved(-STEP)) / f64::from(2.0 * STEP)) as f32;
        let found = gradient[at];
        assert!(
            (found - slope).abs() < 2e-2 * size,
            "gradient {which}, value {at}: {slope} by differences, found {found}"
        );
    }
}

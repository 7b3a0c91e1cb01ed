//! Two functions for `cargo xtask bench` alone: the page does not use them.

use super::thrown;
use crate::error::Error;
use crate::kernels::{Format, measure};
use js_sys::Reflect;
use wasm_bindgen::prelude::*;
use web_sys::Performance;

/// Seconds of one product: see [`measure::product`].
#[wasm_bindgen(js_name = measureProduct)]
pub fn measure_product(
    format: &str,
    rows: usize,
    cols: usize,
    batch: usize,
    far: usize,
    milliseconds: f64,
) -> Result<f64, JsValue> {
    let Some(format) = Format::ALL.into_iter().find(|known| known.name() == format) else {
        let (expected, found) = ("the name of a format".into(), format.into());
        return Err(thrown(Error::BadParameter { name: "format".into(), expected, found }));
    };
    let now = clock()?;
    measure::product(format, (rows, cols), batch, far, milliseconds / 1000.0, now).map_err(thrown)
}

/// Bytes a second of reading memory: see [`measure::read`].
#[wasm_bindgen(js_name = measureRead)]
pub fn measure_read(bytes: usize, milliseconds: f64) -> Result<f64, JsValue> {
    let now = clock()?;
    measure::read(bytes, milliseconds / 1000.0, now).map_err(thrown)
}

/// The page's clock, in seconds.
fn clock() -> Result<impl Fn() -> f64, JsValue> {
    let performance: Performance = Reflect::get(&js_sys::global(), &"performance".into())?.dyn_into()?;
    Ok(move || performance.now() / 1000.0)
}

//! A group of weight rows unpacked, and its product with four rows of activations at once: for batches, where unpacking
//! pays.

use super::dot::{BYTES, STEP, part};
use super::{BLOCK, QUAD, QUADS, ROWS, TOGETHER};
use crate::error::{Result, try_vec};
use crate::kernels::activations::Group;
use crate::kernels::lanes::{Floats, Ints, Shorts};

/// A group of rows, every value an i8, every scale and minimum an f32.
pub struct Panel {
    /// Block by block, quad by quad, as [`super::dot::interleave`] lays them out.
    pub values: Vec<[u8; BYTES]>,
    /// Of every block, or of every half of one.
    pub scales: Vec<[f32; ROWS]>,
    /// Of every block, where the format has any.
    pub minima: Vec<[f32; ROWS]>,
}

impl Panel {
    /// Room for `blocks` blocks.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn new(blocks: usize, fine: bool, minima: bool) -> Result<Self> {
        const WHAT: &str = "unpacking weights";
        Ok(Self {
            values: try_vec([0; BYTES], blocks, WHAT)?,
            scales: try_vec([0.0; ROWS], if fine { 2 * blocks } else { blocks }, WHAT)?,
            minima: try_vec([0.0; ROWS], if minima { blocks } else { 0 }, WHAT)?,
        })
    }

    /// The values of one row of the group.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        for (i, out) in out.iter_mut().enumerate() {
            let (block, at) = (i / BLOCK, i % BLOCK);
            let value = f32::from(self.values[block][at / QUAD * STEP + row * QUAD + at % QUAD] as i8);
            let scale = self.scales[i * self.scales.len() / (self.values.len() * BLOCK)][row];
            *out = scale * value - self.minima.get(block).map_or(0.0, |minima| minima[row]);
        }
    }

    /// The products of the group's rows with four rows of activations: four results for each of these.
    #[inline]
    pub fn multiply(&self, x: Group) -> [[f32; ROWS]; TOGETHER] {
        match (self.scales.len() > self.values.len(), self.minima.is_empty()) {
            (true, _) => self.tile::<{ QUADS / 2 }, false>(x),
            (false, true) => self.tile::<QUADS, false>(x),
            (false, false) => self.tile::<QUADS, true>(x),
        }
    }
}

/// The sums of a tile. A macro, because sums that are variables of their own stay in registers in every build, and those
/// of an array do not.
macro_rules! tile {
    ($($k:literal: $above:ident $below:ident $total:ident),+) => {
        /// `SCALED` quads have a scale of their own.
        #[inline(never)]
        fn tile<const SCALED: usize, const MINIMA: bool>(&self, x: Group) -> [[f32; ROWS]; TOGETHER] {
            // Unknown to the compiler of wasm, else it unrolls the loop until the registers do not suffice.
            let quads = if cfg!(target_arch = "wasm32") { std::hint::black_box(SCALED) } else { SCALED };
            $(let mut $total = Floats::all(0.0);)+
            let mut scales = self.scales.iter();
            for (b, (values, (x, (x_scales, x_sums)))) in
                self.values.iter().zip(x.values.iter().zip(x.scales.iter().zip(x.sums))).enumerate()
            {
                for (first, scale) in (0..QUADS).step_by(SCALED).zip(&mut scales) {
                    // Sums of neighbours, for the two rows above and the two below.
                    $(let (mut $above, mut $below) = (Ints::all(0), Ints::all(0));)+
                    for q in 0..quads {
                        // Says that no place is out of bounds.
                        let q = (first + q) % QUADS;
                        let above = Shorts::widen(part(values, q * STEP));
                        let below = Shorts::widen(part(values, q * STEP + STEP / 2));
                        $(
                            let quad = Shorts::repeat(part(x, (q * TOGETHER + $k) * QUAD));
                            ($above, $below) = ($above.add_dot(above, quad), $below.add_dot(below, quad));
                        )+
                    }
                    let scale = Floats::of_array(scale);
                    $($total = $total.plus(
                        Floats::of($above.pairs($below)).times(scale.times(Floats::all(x_scales[$k])))
                    );)+
                }
                if MINIMA {
                    let minima = Floats::of_array(&self.minima[b]);
                    $($total = $total.minus(
                        minima.times(Floats::all(x_sums[$k] as f32).times(Floats::all(x_scales[$k])))
                    );)+
                }
            }
            [$($total.to_array()),+]
        }
    };
}

impl Panel {
    tile!(0: a0 b0 t0, 1: a1 b1 t1, 2: a2 b2 t2, 3: a3 b3 t3);
}

const _: () = assert!(TOGETHER == 4 && BLOCK == QUADS * QUAD);

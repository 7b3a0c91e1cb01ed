//! A group of weight rows unpacked, and the product of two groups with four rows of activations at once: for batches,
//! where unpacking pays.

use super::dot::{BYTES, STEP, part};
use super::{BLOCK, QUAD, QUADS, ROWS, TOGETHER};
use crate::error::{Result, try_vec};
use crate::kernels::activations::{Group, PAIR};
use crate::kernels::lanes::{Floats, Ints, Shorts};

/// Groups that are multiplied at once.
pub const GROUPS: usize = 2;
/// A pair of each row, of weights as of activations.
const LANES: usize = ROWS * PAIR;
/// Their bytes.
const STRIDE: usize = LANES * size_of::<i16>();

/// A group of rows, every value an i16, every scale and minimum an f32.
pub struct Panel {
    /// Block by block, pair by pair: a pair of each row.
    values: Vec<[i16; ROWS * BLOCK]>,
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
            values: try_vec([0; ROWS * BLOCK], blocks, WHAT)?,
            scales: try_vec([0.0; ROWS], if fine { 2 * blocks } else { blocks }, WHAT)?,
            minima: try_vec([0.0; ROWS], if minima { blocks } else { 0 }, WHAT)?,
        })
    }

    /// Sets the values of a block, which are laid out as [`super::dot::interleave`] does it.
    #[inline(always)]
    pub fn put(&mut self, block: usize, bytes: &[u8; BYTES]) {
        let quads = bytes.as_chunks::<STEP>().0.iter();
        for (quad, out) in quads.zip(self.values[block].as_chunks_mut::<{ QUAD / PAIR * LANES }>().0) {
            let (above, below) = (Shorts::widen(part(quad, 0)), Shorts::widen(part(quad, STEP / 2)));
            out.copy_from_slice(above.unzip(below).map(Shorts::to_array).as_flattened());
        }
    }

    /// The values of one row of the group.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        for (i, out) in out.iter_mut().enumerate() {
            let (block, at) = (i / BLOCK, i % BLOCK);
            let value = f32::from(self.values[block][at / PAIR * LANES + row * PAIR + at % PAIR]);
            let scale = self.scales[i * self.scales.len() / (self.values.len() * BLOCK)][row];
            *out = scale * value - self.minima.get(block).map_or(0.0, |minima| minima[row]);
        }
    }

    /// The products of two groups' rows with four rows of activations: of each of these, four results of each group.
    #[inline]
    pub fn multiply(both: [&Self; GROUPS], x: Group) -> [[[f32; ROWS]; GROUPS]; TOGETHER] {
        match (both[0].scales.len() > both[0].values.len(), both[0].minima.is_empty()) {
            (true, _) => Self::tile::<{ QUADS / 2 }, false>(both, x),
            (false, true) => Self::tile::<QUADS, false>(both, x),
            (false, false) => Self::tile::<QUADS, true>(both, x),
        }
    }
}

/// The sums of a tile. A macro, because sums that are variables of their own stay in registers in every build, and those
/// of an array do not.
macro_rules! tile {
    ($($k:literal: $left:ident $right:ident $left_total:ident $right_total:ident),+) => {
        /// `SCALED` quads have a scale of their own.
        #[inline(never)]
        fn tile<const SCALED: usize, const MINIMA: bool>(
            [left, right]: [&Self; GROUPS],
            x: Group,
        ) -> [[[f32; ROWS]; GROUPS]; TOGETHER] {
            let blocks = x.scales.len();
            assert!([left.values.len(), right.values.len(), x.values.len()] == [blocks; 3]);
            // LLVM rewrites addresses that a loop counts up such that V8 computes each anew and runs out of registers.
            // Those that pass through this mask it leaves alone.
            let mask = std::hint::black_box(usize::MAX);
            let starts = [left.values.as_ptr() as usize, right.values.as_ptr() as usize, x.values.as_ptr() as usize];
            let mut at = 0;
            $(let (mut $left_total, mut $right_total) = (Floats::all(0.0), Floats::all(0.0));)+
            let mut scales = left.scales.iter().zip(&right.scales);
            for (b, (x_scales, x_sums)) in x.scales.iter().zip(x.sums).enumerate() {
                for (left_scale, right_scale) in (&mut scales).take(QUADS / SCALED) {
                    $(let (mut $left, mut $right) = (Ints::all(0), Ints::all(0));)+
                    // A pair at a time: what more would be read at once, the registers do not hold.
                    let end = at + SCALED * QUAD / PAIR * STRIDE;
                    while at != end {
                        let [left, right, pairs] = starts.map(|start| (start + at) as *const [i16; LANES]);
                        // SAFETY: all three have as many pairs as `blocks` blocks, which are passed over once.
                        let (left, right, pairs) = unsafe { (&*left, &*right, &*pairs) };
                        let (left, right) = (Shorts::of_array(left), Shorts::of_array(right));
                        $(
                            let pair = Shorts::pair(part(pairs, $k * PAIR));
                            ($left, $right) = ($left.add_dot(left, pair), $right.add_dot(right, pair));
                        )+
                        at = (at + STRIDE) & mask;
                    }
                    let (left_scale, right_scale) = (Floats::of_array(left_scale), Floats::of_array(right_scale));
                    $(
                        let scale = Floats::all(x_scales[$k]);
                        $left_total = $left_total.plus(Floats::of($left).times(left_scale.times(scale)));
                        $right_total = $right_total.plus(Floats::of($right).times(right_scale.times(scale)));
                    )+
                }
                if MINIMA {
                    let [left_minima, right_minima] = [&left.minima[b], &right.minima[b]].map(Floats::of_array);
                    $(
                        let sum = Floats::all(x_sums[$k] as f32).times(Floats::all(x_scales[$k]));
                        $left_total = $left_total.minus(left_minima.times(sum));
                        $right_total = $right_total.minus(right_minima.times(sum));
                    )+
                }
            }
            [$([$left_total.to_array(), $right_total.to_array()]),+]
        }
    };
}

impl Panel {
    tile!(0: a b ta tb, 1: c d tc td, 2: e f te tf, 3: g h tg th);
}

const _: () = assert!(TOGETHER == 4 && ROWS == TOGETHER && BLOCK == QUADS * QUAD);

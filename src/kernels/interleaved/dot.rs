//! The inner loops: integer products of one block of four rows with one block of activations, all in registers.

use super::{QUAD, QUADS};
use crate::kernels::activations::BLOCK;
use crate::kernels::lanes::{Ints, Shorts};

/// Bytes of the values of a block of four rows.
pub const BYTES: usize = 4 * BLOCK;
/// As halves of bytes.
pub const NIBBLES: usize = BYTES / 2;
/// Bytes of a quad of four rows.
pub const STEP: usize = 4 * QUAD;

/// `N` values from `at` on.
#[inline(always)]
pub fn part<T, const N: usize, const ALL: usize>(all: &[T; ALL], at: usize) -> &[T; N] {
    assert!(at + N <= ALL);
    // SAFETY: within bounds, as was just checked: where `at` is known, when compiling.
    unsafe { &*all.as_ptr().add(at).cast() }
}

/// Does the same for each number, one after the other: a loop that is not left to the compiler, which in wasm keeps
/// it a loop and loses a third of the speed.
macro_rules! unrolled {
    ($i:ident in $($n:literal)+ => $body:block) => { $({ let $i: usize = $n; $body })+ };
}

/// `Σ q · x` of each row over `HOW_MANY` quads from quad `FIRST` on, for values that are i8.
#[inline(always)]
pub fn bytes<const FIRST: usize, const HOW_MANY: usize>(q: &[u8; BYTES], x: &[i16; BLOCK]) -> Ints {
    let (mut above, mut below) = (Ints::all(0), Ints::all(0));
    unrolled!(i in 0 1 2 3 4 5 6 7 => {
        if i >= FIRST && i < FIRST + HOW_MANY {
            let x = Shorts::repeat(part(x, i * QUAD));
            above = above.add_dot(Shorts::widen(part(q, i * STEP)), x);
            below = below.add_dot(Shorts::widen(part(q, i * STEP + STEP / 2)), x);
        }
    });
    above.pairs(below)
}

/// `Σ q · x` of each row over a block, for values from 0 to 15 laid out by [`pack`].
#[inline(always)]
pub fn nibbles(q: &[u8; NIBBLES], x: &[i16; BLOCK]) -> Ints {
    // Those that come 16 and 256 times too large are summed apart: four pairs of 15 · 256 · 2¹⁵ fit.
    let [mut first_above, mut first_below, mut second_above, mut second_below] = [Ints::all(0); 4];
    unrolled!(i in 0 1 2 3 => {
        let [a, b, c, d] = Shorts::nibbles(part(q, i * STEP));
        let (first, second) = (Shorts::repeat(part(x, 2 * i * QUAD)), Shorts::repeat(part(x, (2 * i + 1) * QUAD)));
        (first_above, first_below) = (first_above.add_dot(a, first), first_below.add_dot(b, first));
        (second_above, second_below) = (second_above.add_dot(c, second), second_below.add_dot(d, second));
    });
    first_above.plus(second_above.divided::<8>()).pairs(first_below.divided::<4>().plus(second_below))
}

const _: () = assert!(QUADS == 8);

/// Lays out a block of four rows, each value a byte.
pub fn interleave(rows: [[u8; BLOCK]; 4], out: &mut [u8]) {
    for (r, row) in rows.iter().enumerate() {
        for (i, quad) in row.as_chunks::<QUAD>().0.iter().enumerate() {
            out[i * STEP + r * QUAD..][..QUAD].copy_from_slice(quad);
        }
    }
}

/// The place of a value of row `r` in a packed block: its 16-bit word, and the bit at which it begins there. Two quads
/// share eight words: of each the two upper rows have the even halves, the two lower ones the odd halves.
const fn place(r: usize, i: usize) -> (usize, usize) {
    let (pair, second, value) = (i / (2 * QUAD), i / QUAD % 2, i % QUAD);
    (pair * (STEP / 2) + r % 2 * QUAD + value, 4 * (2 * second + r / 2))
}

/// Lays out a block of four rows, each value half a byte.
pub fn pack(rows: [[u8; BLOCK]; 4], out: &mut [u8]) {
    let (words, _) = out.as_chunks_mut::<2>();
    words.fill([0; 2]);
    for (r, row) in rows.iter().enumerate() {
        for (i, value) in row.iter().enumerate() {
            let (word, bit) = place(r, i);
            words[word] = (u16::from_le_bytes(words[word]) | u16::from(*value) << bit).to_le_bytes();
        }
    }
}

/// What [`pack`] has laid out, as [`interleave`] would lay it out.
#[inline(always)]
pub fn unpack(q: &[u8; NIBBLES]) -> [u8; BYTES] {
    let mut out = [0; BYTES];
    for (words, out) in q.as_chunks::<{ STEP }>().0.iter().zip(out.as_chunks_mut::<{ 2 * STEP }>().0) {
        for (lane, word) in words.as_chunks::<2>().0.iter().enumerate() {
            let word = u16::from_le_bytes(*word);
            for half in 0..4 {
                out[half * (STEP / 2) + lane] = (word >> (4 * half) & 15) as u8;
            }
        }
    }
    out
}

//! Whether two tokenizers are the same, as far as many texts tell: what a conversion is checked with.

use super::{Tokenizer, unsupported};
use crate::Result;
use std::collections::BTreeSet;

/// Texts with what tokenizers differ in: spaces, line ends, digits, contractions, letters of several scripts.
const TEXTS: [&str; 8] = [
    "Once upon a time there was a little girl named Lily. She loved to play outside!",
    "  two  spaces,\n\n\nthree lines\tand a tab \n",
    "It's 1234567 o'clock; we'll see 'to, don't, I'D and THEY'RE 3.14e-5 %$#@ (again) [x] {y} <z>",
    "naïve café Ångström Größe Привет мир العربية עברית ελληνικά",
    "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。こんにちは世界 안녕하세요",
    "emoji 🐉👩‍👩‍👧 zero\u{200b}width and\u{00a0}hard space\u{3000}wide",
    "fn main() { println!(\"{}\", a_b+c*d/e); } // x86_64\r\n",
    "aaaaaaaaaa abababab 000000 ............ ------",
];

/// Single tokens that are tried, and texts made of tokens drawn at random.
const SINGLE: usize = 20_000;
const DRAWN: usize = 400;

/// Refuses `other` where it cuts a text differently from `original`, or puts it together differently.
pub(super) fn same(original: &Tokenizer, other: &Tokenizer, from: &str, to: &str) -> Result<()> {
    let ids = original.largest_id().map_or(0, |id| id as usize + 1);
    let pieces: Vec<String> = (0..ids as u32)
        .map(
            |id| if original.is_special(id) { String::new() } else { original.decode(&[id], true).unwrap_or_default() },
        )
        .map(|text| if text.contains(char::REPLACEMENT_CHARACTER) { String::new() } else { text })
        .collect();
    // Characters that no token has are unknown, for which the kinds of tokenizer have different ways.
    let alphabet: BTreeSet<char> = pieces.iter().flat_map(|piece| piece.chars()).collect();
    let every_byte = original
        .encode_plain("\u{1F409}\u{7F}")
        .is_ok_and(|ids| original.decode(&ids, false).is_ok_and(|text| text.ends_with("\u{1F409}\u{7F}")));
    let known = |text: &str| text.chars().filter(|c| every_byte || alphabet.contains(c)).collect::<String>();
    let step = ids.div_ceil(SINGLE).max(1);
    let mut state = 1u64;
    let mut drawn = || {
        let mut text = String::new();
        for _ in 0..24 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text.push_str(pieces.get((state >> 33) as usize % ids.max(1)).map_or("", String::as_str));
        }
        text
    };
    let drawn: Vec<String> = (0..DRAWN).map(|_| drawn()).collect();
    let fixed = TEXTS.iter().map(|text| known(text));
    for text in fixed.chain(drawn).chain(pieces.iter().step_by(step).cloned()) {
        let (ours, theirs) = (original.encode(&text, true)?, other.encode(&text, true)?);
        let agree = ours == theirs && original.decode(&ours, true)? == other.decode(&ours, true)?;
        if !agree {
            let start: String = text.chars().take(60).collect();
            return Err(unsupported(
                &format!("this vocabulary in {to}"),
                &format!("the same tokens for {start:?} as in {from}: {ours:?}"),
                &format!("{theirs:?}"),
            ));
        }
    }
    Ok(())
}

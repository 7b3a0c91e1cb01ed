//! The table by which sentencepiece changes characters before it cuts a text (`precompiled_charsmap`): a double array (Aoe
//! 1989) from beginnings of the text to places in a list of replacements. Whoever made the file, nothing is read outside of
//! it and every walk ends with the text.

use super::bad;
use crate::Result;
use tokenizers::NormalizedString;
use unicode_segmentation::UnicodeSegmentation;

/// The table.
#[derive(Debug, Default)]
pub(super) struct Charsmap {
    units: Vec<u32>,
    /// Replacements, each with a zero byte at its end.
    replacements: Vec<u8>,
}

impl Charsmap {
    /// From the bytes of a model file; none change nothing.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let wrong = || bad("a table of characters that is whole", "one cut short");
        let (size, rest) = bytes.split_first_chunk::<4>().ok_or_else(wrong)?;
        let (units, replacements) = rest.split_at_checked(u32::from_le_bytes(*size) as usize).ok_or_else(wrong)?;
        let (units, left) = units.as_chunks::<4>();
        if !left.is_empty() || units.is_empty() {
            return Err(wrong());
        }
        let units = units.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        Ok(Self { units, replacements: replacements.to_vec() })
    }

    /// From Base64, as `tokenizer.json` has it.
    pub(super) fn from_base64(text: &str) -> Result<Self> {
        Self::parse(&decode(text).ok_or_else(|| bad("precompiled_charsmap in Base64", "something else"))?)
    }

    /// Every beginning of `text` that has a replacement, the shortest first: its length, and where the replacement is.
    fn beginnings<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
        let offset = |unit: u32| (unit >> 10) << ((unit & (1 << 9)) >> 6);
        let mut at = self.units.first().map_or(0, |unit| offset(*unit));
        let walk = text.iter().map_while(move |&byte| {
            at ^= u32::from(byte);
            let unit = *self.units.get(at as usize)?;
            // Units that hold a value have the highest bit, which no byte has.
            if byte == 0 || unit & (1 << 31 | 0xff) != u32::from(byte) {
                return None;
            }
            at ^= offset(unit);
            let value = self.units.get(at as usize).map(|unit| (unit & 0x7fff_ffff) as usize);
            Some(value.filter(|_| unit >> 8 & 1 == 1))
        });
        walk.enumerate().filter_map(|(i, value)| Some((i + 1, value?)))
    }

    fn replacement(&self, at: usize) -> &[u8] {
        let rest = self.replacements.get(at..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// What stands for the beginning of `text`, and how long that is: the longest that has a replacement, as sentencepiece
    /// takes it.
    pub(super) fn longest(&self, text: &[u8]) -> Option<(usize, &[u8])> {
        self.beginnings(text).last().map(|(len, at)| (len, self.replacement(at)))
    }

    /// What stands for `text` by its shortest beginning that has a replacement, as the `tokenizers` crate takes it.
    fn shortest(&self, text: &str) -> Option<&str> {
        let (_, at) = self.beginnings(text.as_bytes()).next()?;
        std::str::from_utf8(self.replacement(at)).ok()
    }

    /// Changes a text as the `tokenizers` crate does: clusters of characters that are short as a whole, where the table has
    /// them, others character by character.
    pub(super) fn apply(&self, text: &mut NormalizedString) {
        /// The crate's limit, in bytes.
        const SHORT: usize = 6;
        let mut changes: Vec<(char, isize)> = Vec::with_capacity(text.get().len());
        let (mut removed, mut modified) = (0, false);
        let mut replace = |old: &str, new: Option<&str>| {
            let Some(new) = new else {
                changes.extend(old.chars().map(|c| (c, 0)));
                return;
            };
            modified = true;
            let (old, first) = (old.chars().count(), changes.len());
            changes.extend(new.chars().enumerate().map(|(i, c)| (c, isize::from(i >= old))));
            let gone = (old + first).saturating_sub(changes.len());
            match changes.last_mut() {
                Some((_, change)) => *change -= gone as isize,
                // Nothing stands before it that could take the loss over.
                None => removed += gone,
            }
        };
        for cluster in text.get().graphemes(true) {
            if cluster.len() < SHORT
                && let Some(new) = self.shortest(cluster)
            {
                replace(cluster, Some(new));
                continue;
            }
            for (at, c) in cluster.char_indices() {
                let part = &cluster[at..at + c.len_utf8()];
                replace(part, self.shortest(part));
            }
        }
        if modified {
            text.transform(changes, removed);
        }
    }
}

/// The bytes that Base64 stands for, with or without padding.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, held) = (bits << 6 | u32::from(value), held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64() {
        assert_eq!(decode("aGVsbG8="), Some(b"hello".to_vec()));
        assert_eq!(decode("/+8A"), Some(vec![0xff, 0xef, 0]));
        assert_eq!(decode("a-b"), None);
    }

    #[test]
    fn tables_that_lie_are_read_within_their_bounds() {
        for bytes in [&b"\x01"[..], b"\xff\xff\xff\xff", b"\x03\0\0\0abc", b"\0\0\0\0abc"] {
            assert!(Charsmap::parse(bytes).is_err());
        }
        let mut state = 1u32;
        for _ in 0..300 {
            let units: Vec<u8> = (0..64)
                .flat_map(|i| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Labels that letters find, leaves, and offsets of any size.
                    (state & 0xffff_fd00 | (97 + i % 8) | if i % 3 == 0 { 0x200 } else { 0 }).to_le_bytes()
                })
                .collect();
            let bytes: Vec<u8> = 256u32.to_le_bytes().into_iter().chain(units).chain(*b"x\0\xffy\0z").collect();
            let map = Charsmap::parse(&bytes).unwrap();
            let mut text = NormalizedString::from("abc déf hgfedcba\u{301}");
            map.apply(&mut text);
            assert!(map.longest("abcdefgh".as_bytes()).is_none_or(|(len, _)| len <= 8));
        }
    }
}

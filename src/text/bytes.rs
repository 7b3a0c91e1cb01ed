//! The byte-level alphabet of GPT-2: every byte stands as one printable character inside a vocabulary.

/// The byte that `c` stands for, if it is of the alphabet: a byte that prints stands for itself, the others are
/// numbered from U+0100 on.
pub(super) fn byte_of(c: char) -> Option<u8> {
    match c as u32 {
        n @ (0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF) => Some(n as u8),
        n @ 0x100..=0x120 => Some((n - 0x100) as u8),
        n @ 0x121..=0x142 => Some((n - 0x100 - 33 + 0x7F) as u8),
        0x143 => Some(0xAD),
        _ => None,
    }
}

/// The character that stands for `byte` in the alphabet.
pub(crate) fn letter_of(byte: u8) -> char {
    let own = char::from(byte);
    let others = || ('\u{100}'..='\u{143}').find(|c| byte_of(*c) == Some(byte));
    if byte_of(own) == Some(byte) { own } else { others().unwrap_or(own) }
}

/// The byte named by a sentencepiece byte token, as `<0x0A>` names 10.
pub(super) fn byte_of_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_a_bijection() {
        let bytes: Vec<u8> = (0..0x200).filter_map(char::from_u32).filter_map(byte_of).collect();
        let different: std::collections::BTreeSet<u8> = bytes.iter().copied().collect();
        assert_eq!((bytes.len(), different.len()), (256, 256));
        assert_eq!(['Ġ', 'Ċ', 'ł', 'Ń', 'a'].map(byte_of), [b' ', b'\n', 0xA0, 0xAD, b'a'].map(Some));
        assert_eq!(byte_of('中'), None);
    }
}

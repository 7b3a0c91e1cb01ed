//! Bytes of a file as text: which encoding they are in, and what to say of files that are not text.

use super::clean::{Tally, What};
use crate::{Error, Result};

/// Beginnings of common files that people take for text, and what to do with them.
const KNOWN: [(&[u8], &str); 9] = [
    (b"PK\x03\x04", "a ZIP archive (.docx, .epub and .xlsx are such): open it and save its contents as plain text"),
    (b"%PDF-", "a PDF: copy the text out of it"),
    (b"\xD0\xCF\x11\xE0", "an old Word or Excel file: open it and save it as plain text"),
    (b"{\\rtf", "a rich-text file: open it and save it as plain text"),
    (b"\x1F\x8B", "a gzip archive: unpack it first"),
    (b"\x89PNG", "an image: a language model learns from text"),
    (b"\xFF\xD8\xFF", "an image: a language model learns from text"),
    (b"GGUF", "a model: open it in the main view"),
    (b"SQLite format 3", "a database: export its text first"),
];

/// Of the characters U+0080 to U+009F, what Windows-1252 has in their place; the replacement character where nothing.
const WINDOWS_1252: &str = "€\u{FFFD}‚ƒ„…†‡ˆ‰Š‹Œ\u{FFFD}Ž\u{FFFD}\u{FFFD}‘’“”•–—˜™š›œ\u{FFFD}žŸ";

/// The text in `bytes`: UTF-8, UTF-16 with a byte order mark, or Windows-1252. Line ends are `\n` afterwards. Bytes
/// that fit no encoding are left out and counted, as long as they are few.
///
/// # Errors
/// [`Error::BadFile`] for what is not text, and for text in another encoding.
pub(super) fn decode(file: &str, mut bytes: Vec<u8>, tally: &mut Tally) -> Result<String> {
    let bad = |found: String| Error::BadFile { file: file.to_string(), expected: "text in UTF-8".to_string(), found };
    if let Some((_, found)) = KNOWN.iter().find(|(beginning, _)| bytes.starts_with(beginning)) {
        return Err(bad(found.to_string()));
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        bytes = utf16(&bytes, tally).into_bytes();
    } else if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    // A stray zero is dropped with the other control characters; one in a hundred bytes is no accident.
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    if zeros * 100 > bytes.len() {
        let even = bytes.iter().step_by(2).filter(|byte| **byte == 0).count();
        let two_bytes = zeros * 5 > bytes.len() && (even == 0 || even == zeros);
        return Err(bad(if two_bytes {
            "UTF-16 without a byte order mark: open it in a text editor and save it as UTF-8".to_string()
        } else {
            format!("a binary file ({zeros} of {} bytes are zero): choose a file of plain text", bytes.len())
        }));
    }
    unify_line_ends(&mut bytes);
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error.into_bytes(),
    };
    if let Some(text) = windows_1252(&bytes, tally) {
        return Ok(text);
    }
    let invalid: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    if invalid * 20 > bytes.len() {
        return Err(bad(format!(
            "{invalid} of {} bytes that are not: a binary file, or another encoding such as GB18030, Big5 or Shift \
             JIS. Open it in a text editor and save it as UTF-8",
            bytes.len()
        )));
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            tally.add(What::Invalid, 1, || hexadecimal(chunk.invalid()));
        }
    }
    Ok(text)
}

/// Makes `\r\n`, `\r`, and the line and page breaks U+000B and U+000C line ends.
pub(super) fn unify_line_ends(bytes: &mut Vec<u8>) {
    if !bytes.iter().any(|byte| matches!(byte, b'\r' | 0x0B | 0x0C)) {
        return;
    }
    let mut after_return = false;
    bytes.retain_mut(|byte| {
        let second = *byte == b'\n' && after_return;
        after_return = *byte == b'\r';
        if matches!(byte, b'\r' | 0x0B | 0x0C) {
            *byte = b'\n';
        }
        !second
    });
}

/// Bytes that are no text, to be seen: `‹E4 BD›`.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("‹{}›", digits.join(" "))
}

/// UTF-16 behind its byte order mark; surrogates without their other half are left out.
fn utf16(bytes: &[u8], tally: &mut Tally) -> String {
    let read = if bytes.starts_with(b"\xFF\xFE") { u16::from_le_bytes } else { u16::from_be_bytes };
    let (pairs, _) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    for character in char::decode_utf16(pairs.iter().skip(1).map(|pair| read(*pair))) {
        match character {
            Ok(c) => text.push(c),
            Err(error) => tally.add(What::Invalid, 1, || hexadecimal(&error.unpaired_surrogate().to_be_bytes())),
        }
    }
    text
}

/// The text as Windows-1252, if it looks so: nothing outside ASCII is UTF-8, and what is stands mostly alone among
/// ASCII letters, as in the languages of western Europe.
fn windows_1252(bytes: &[u8], tally: &mut Tally) -> Option<String> {
    let high = bytes.iter().filter(|byte| **byte >= 0x80).count();
    let runs = bytes.chunk_by(|a, b| (*a >= 0x80) == (*b >= 0x80)).filter(|run| run.iter().all(|b| *b >= 0x80)).count();
    let alone = high * 5 < bytes.len() && high * 2 <= runs * 3;
    if !alone || bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii()) {
        return None;
    }
    let table: Vec<char> = WINDOWS_1252.chars().collect();
    let read = |byte: u8| match byte {
        0x80..=0x9F => table.get(usize::from(byte) - 0x80).copied().filter(|c| *c != char::REPLACEMENT_CHARACTER),
        _ => Some(char::from(byte)),
    };
    let text = bytes.iter().map(|byte| read(*byte)).collect::<Option<String>>()?;
    for byte in bytes.iter().filter(|byte| **byte >= 0x80) {
        tally.add(What::Invalid, 1, || {
            format!("{} → {} (Windows-1252)", hexadecimal(&[*byte]), read(*byte).unwrap_or_default())
        });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> (String, Vec<String>) {
        let mut tally = Tally::default();
        let text = decode("a.txt", bytes.to_vec(), &mut tally).unwrap();
        (text, tally.into_removed().into_iter().flat_map(|r| r.examples).collect())
    }

    #[test]
    fn encodings_are_told_apart() {
        assert_eq!(text("\u{FEFF}é 你\r\na\rb\u{C}c".as_bytes()), ("é 你\na\nb\nc".to_string(), vec![]));
        let words = "né 你😀\r\n";
        let little: Vec<u8> = "\u{FEFF}né 你😀\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{FEFF}né 你😀\r\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!([text(&little).0, text(&big).0], [words.replace('\r', ""), words.replace('\r', "")]);
        let (western, removed) = text(b"Un caf\xE9 cr\xE8me co\xFBte \x96 5 \x80.");
        assert_eq!(western, "Un café crème coûte – 5 €.");
        assert_eq!(removed[0], "‹E9› → é (Windows-1252)");
    }

    #[test]
    fn a_few_broken_bytes_are_dropped_and_shown() {
        let mut bytes = "从前有一个小女孩。".repeat(10).into_bytes();
        bytes.splice(27..27, [0xFF, b'a', 0xE4, 0xBD, b'b']);
        let (clean, removed) = text(&bytes);
        assert_eq!(clean, format!("从前有一个小女孩。ab{}", "从前有一个小女孩。".repeat(9)));
        assert_eq!(removed, ["‹FF›", "‹E4 BD›"]);
    }

    #[test]
    fn files_that_are_no_text_are_named_with_a_way_out() {
        let found = |bytes: &[u8]| decode("x.bin", bytes.to_vec(), &mut Tally::default()).unwrap_err().to_string();
        assert!(found(b"PK\x03\x04abc").contains("ZIP archive"));
        assert!(found(&[0, 1, 2, 3, 0, 0, 7]).contains("binary file (3 of 7 bytes are zero)"));
        let utf16: Vec<u8> = "plain words".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(found(&utf16).contains("UTF-16 without a byte order mark"));
        // "你好，世界" in GB18030.
        let message = found(&[0xC4, 0xE3, 0xBA, 0xC3, 0xA3, 0xAC, 0xCA, 0xC0, 0xBD, 0xE7]);
        assert!(message.contains("GB18030") && message.starts_with("x.bin: expected text in UTF-8"), "{message}");
    }
}

//! QR codes (ISO/IEC 18004) for the links of the page: a module of its own, because few visitors ever need one and the
//! engine is downloaded by all.

use qrcode::{Color, EcLevel, QrCode};

/// The modules of the smallest code that holds `text`, row by row from the top left, without the margin: 1 is dark. There
/// are as many rows as columns. Where several masks and versions would do, the choice is the crate's.
///
/// # Errors
/// What is wrong, in words: a text longer than 2,331 bytes fits no code of this level.
pub fn modules(text: &str) -> Result<Vec<u8>, String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .map_err(|error| format!("expected a text that fits a QR code, found {} bytes ({error})", text.len()))?;
    Ok(code.to_colors().into_iter().map(|color| u8::from(color == Color::Dark)).collect())
}

#[cfg(target_arch = "wasm32")]
mod web {
    use wasm_bindgen::prelude::*;

    /// [`modules`](super::modules) for the page.
    #[wasm_bindgen(js_name = qrModules)]
    pub fn modules(text: &str) -> Result<Vec<u8>, JsError> {
        super::modules(text).map_err(|error| JsError::new(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::modules;

    #[test]
    fn a_code_has_its_three_marks_and_grows_with_the_text() {
        for (text, side) in [("inkling", 21), (&"x".repeat(100), 41)] {
            let code = modules(text).unwrap();
            assert_eq!(code.len(), side * side, "{text}");
            // The finder pattern, ISO/IEC 18004 section 6.3.3: rings of 7 dark, 5 light and 3 dark modules.
            for (top, left) in [(0, 0), (0, side - 7), (side - 7, 0)] {
                for (y, x) in (0..7).flat_map(|y| (0..7).map(move |x| (y, x))) {
                    let ring = [y, x, 6 - y, 6 - x].into_iter().min().unwrap_or(0);
                    assert_eq!(code[(top + y) * side + left + x] == 1, ring != 1, "{text} at {y} {x}");
                }
            }
        }
    }

    #[test]
    fn a_text_too_long_is_refused_in_words() {
        assert!(modules(&"x".repeat(3000)).unwrap_err().contains("3000 bytes"));
    }
}

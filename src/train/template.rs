//! Texts made of the fields of a row: `English: {1}\nFrench: {2}` of two fields with a tab between them.

use super::clean::{Tally, What};
use crate::{Error, Result};

enum Piece {
    Text(String),
    /// A field by its place, from 0.
    Field(usize),
}

/// A recipe's `template`, read.
pub(super) struct Template(Vec<Piece>);

impl Template {
    /// None for an empty template.
    ///
    /// # Errors
    /// [`Error::BadParameter`] for one without a field: all documents would be the same.
    pub(super) fn parse(template: &str) -> Result<Option<Self>> {
        if template.is_empty() {
            return Ok(None);
        }
        let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), template);
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            // Braces around anything but a number from 1 are text.
            let field = after.split_once('}').and_then(|(number, behind)| {
                let number: usize = number.parse().ok()?;
                Some((number.checked_sub(1)?, behind))
            });
            rest = match field {
                Some((field, behind)) => {
                    pieces.extend([Piece::Text(std::mem::take(&mut text)), Piece::Field(field)]);
                    behind
                }
                None => {
                    text.push('{');
                    after
                }
            };
        }
        if pieces.is_empty() {
            return Err(Error::BadParameter {
                name: "template".to_string(),
                expected: "a text with {1}, {2}… in the places of a row's fields".to_string(),
                found: template.to_string(),
            });
        }
        pieces.push(Piece::Text(text + rest));
        Ok(Some(Self(pieces)))
    }

    /// The text for a row. Of a row without one of the fields nothing is left, and it is tallied as invalid.
    pub(super) fn fill(&self, row: &str, tally: &mut Tally) -> String {
        let fields: Vec<&str> = row.split('\t').map(str::trim).collect();
        let part = |piece| match piece {
            &Piece::Field(at) => fields.get(at).copied(),
            Piece::Text(text) => Some(text.as_str()),
        };
        let filled = self.0.iter().map(part).collect::<Option<String>>();
        if filled.is_none() && !row.trim().is_empty() {
            tally.add(What::Invalid, 1, || row.trim().chars().take(40).collect());
        }
        filled.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, row: &str) -> (String, usize) {
        let mut tally = Tally::default();
        let text = Template::parse(template).unwrap().unwrap().fill(row, &mut tally);
        (text, tally.into_removed().len())
    }

    #[test]
    fn fields_take_their_places() {
        assert_eq!(fill("English: {1}\nFrench: {2}", "Go. \tVa !"), ("English: Go.\nFrench: Va !".into(), 0));
        assert_eq!(fill("{3}{1}{3}!", "a\tb\tc\td"), ("cac!".into(), 0));
        assert_eq!(fill("{x} {0} {{1}", "a"), ("{x} {0} {a".into(), 0));
    }

    #[test]
    fn a_row_without_a_field_is_invalid_and_an_empty_one_is_only_empty() {
        assert_eq!(fill("{1}, {2}", "Go."), (String::new(), 1));
        assert_eq!(fill("{1}, {2}", " "), (String::new(), 0));
    }

    #[test]
    fn a_template_has_fields() {
        assert!(Template::parse("").unwrap().is_none());
        let error = Template::parse("English: {}").err().unwrap().to_string();
        assert!(error.starts_with("template: expected a text with {1}"), "{error}");
    }
}

//! Tables as corpora: .csv, .tsv and .jsonl files of which one column is the text.

use super::clean::{Tally, What};
use super::decode::{decode, unify_line_ends};
use crate::{Error, Result};
use serde_json::{Map, Value};

/// How much of a file is read to find its columns, if its first line is not longer.
const HEAD: usize = 1 << 20;

/// What a table's file name says of its form.
enum Form {
    /// Fields between commas (or semicolons, or tabs), quoted where necessary (RFC 4180).
    Comma,
    /// Fields between tabs. There are no quotes: a quotation mark is part of the text.
    Tab,
    /// A JSON object on every line.
    JsonLines,
}

impl Form {
    fn of(file: &str) -> Option<Self> {
        let (_, extension) = file.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Comma),
            "tsv" | "tab" => Some(Self::Tab),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// The names of the columns of a .csv, .tsv or .jsonl file, as its first line has them; none for other files.
///
/// # Errors
/// [`Error::BadFile`] if it is not text, or its first line is not what the name promises.
pub fn columns(file: &str, bytes: &[u8]) -> Result<Vec<String>> {
    let Some(form) = Form::of(file) else { return Ok(Vec::new()) };
    let first_line = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
    let head = bytes.get(..first_line.max(HEAD)).unwrap_or(bytes);
    let text = decode(file, head.to_vec(), &mut Tally::default())?;
    if let Form::JsonLines = form {
        let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let object = object(line).map_err(|found| bad_line(file, 1, found))?;
        return Ok(object.into_iter().filter(|(_, value)| value.is_string()).map(|(key, _)| key).collect());
    }
    let header = reader(&form, &text).headers().cloned().map_err(|e| bad_line(file, 1, e.to_string()))?;
    Ok(header.iter().map(str::to_string).collect())
}

/// Calls `each` with the text of every row. Rows without text in the column are tallied as invalid.
///
/// # Errors
/// [`Error::BadParameter`] if there is no such column, [`Error::BadFile`] if most rows are bad.
pub(super) fn rows(
    file: &str,
    text: &str,
    column: &str,
    tally: &mut Tally,
    mut each: impl FnMut(&str, &mut Tally) -> Result<()>,
) -> Result<()> {
    let no_column = |columns: &[String]| Error::BadParameter {
        name: format!("column of {file}"),
        expected: if columns.is_empty() { "none".to_string() } else { format!("one of {}", columns.join(", ")) },
        found: column.to_string(),
    };
    let form = Form::of(file).ok_or_else(|| no_column(&[]))?;
    let (mut good, mut bad, mut first_bad) = (0u64, 0u64, None);
    let mut row = |line: u64, found: std::result::Result<&str, String>, tally: &mut Tally| match found {
        Ok(text) => {
            good += 1;
            if text.contains('\r') {
                let mut bytes = text.as_bytes().to_vec();
                unify_line_ends(&mut bytes);
                return each(&String::from_utf8_lossy(&bytes), tally);
            }
            each(text, tally)
        }
        Err(found) => {
            bad += 1;
            tally.add(What::Invalid, 1, || format!("{file}, line {line}: {found}"));
            first_bad.get_or_insert((line, found));
            Ok(())
        }
    };
    if let Form::JsonLines = form {
        for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
            match object(line) {
                Err(found) => row(number, Err(found), tally)?,
                Ok(object) => match object.get(column) {
                    Some(Value::String(text)) => row(number, Ok(text), tally)?,
                    Some(_) => row(number, Err(format!("{column:?} is not a string")), tally)?,
                    None => row(number, Err(format!("no {column:?}")), tally)?,
                },
            }
        }
    } else {
        let mut reader = reader(&form, text);
        let header = reader.headers().map_err(|e| bad_line(file, 1, e.to_string()))?;
        let at = header.iter().position(|name| name == column);
        let columns: Vec<String> = header.iter().map(str::to_string).collect();
        let at = at.ok_or_else(|| no_column(&columns))?;
        let mut record = csv::StringRecord::new();
        loop {
            match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    let missing = || format!("{} of {} columns", record.len(), columns.len());
                    row(line, record.get(at).ok_or_else(missing), tally)?;
                }
                Err(error) => row(error.position().map_or(0, csv::Position::line), Err(error.to_string()), tally)?,
            }
        }
    }
    match first_bad {
        Some((line, found)) if bad > good => Err(bad_line(file, line, format!("{found}, and {bad} bad rows in all"))),
        _ => Ok(()),
    }
}

fn bad_line(file: &str, line: u64, found: String) -> Error {
    Error::BadFile {
        file: format!("{file}, line {line}"),
        expected: "a row of the table with its columns".to_string(),
        found,
    }
}

fn object(line: &str) -> std::result::Result<Map<String, Value>, String> {
    serde_json::from_str(line).map_err(|e| format!("no JSON object ({e})"))
}

fn reader<'a>(form: &Form, text: &'a str) -> csv::Reader<&'a [u8]> {
    let delimiter = match form {
        Form::Comma => {
            let header = text.lines().next().unwrap_or_default();
            let count = |mark: u8| header.bytes().filter(|byte| *byte == mark).count();
            // The first of the most frequent: `max_by_key` would take the last.
            [b'\t', b';', b','].into_iter().max_by_key(|mark| count(*mark)).unwrap_or(b',')
        }
        Form::Tab | Form::JsonLines => b'\t',
    };
    let quoting = matches!(form, Form::Comma);
    csv::ReaderBuilder::new().delimiter(delimiter).quoting(quoting).flexible(true).from_reader(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(file: &str, text: &str, column: &str) -> (Vec<String>, Vec<String>) {
        let (mut tally, mut texts) = (Tally::default(), Vec::new());
        rows(file, text, column, &mut tally, |text, _| {
            texts.push(text.to_string());
            Ok(())
        })
        .unwrap();
        (texts, tally.into_removed().into_iter().flat_map(|r| r.examples).collect())
    }

    #[test]
    fn columns_are_those_of_the_first_line() {
        let of = |file: &str, text: &str| columns(file, text.as_bytes()).unwrap();
        assert_eq!(of("a.csv", "\u{FEFF}id,\"the, text\"\r\n1,x"), ["id", "the, text"]);
        assert_eq!(of("a.CSV", "id;text\n1;x,y,z"), ["id", "text"]);
        assert_eq!(of("a.tsv", "en\tfr\n"), ["en", "fr"]);
        assert_eq!(of("a.jsonl", "\n{\"text\":\"x\",\"n\":1,\"title\":\"y\"}\nnot"), ["text", "title"]);
        assert!(of("a.txt", "a,b").is_empty());
        assert!(columns("a.jsonl", b"[1]").unwrap_err().to_string().starts_with("a.jsonl, line 1: expected"));
    }

    #[test]
    fn rows_are_documents_and_bad_ones_are_named() {
        let csv = "id,text\n1,\"one\n\"\"two\"\"\"\n2\n3,three,more\n";
        let (rows, bad) = texts("a.csv", csv, "text");
        assert_eq!(rows, ["one\n\"two\"", "three"]);
        assert_eq!(bad, ["a.csv, line 4: 1 of 2 columns"]);
        assert_eq!(texts("a.tsv", "en\tfr\n\"Go!\t\"Va !\"\n", "fr").0, ["\"Va !\""]);
        let json = "{\"text\":\"a\\r\\nb\"}\n\n{\"text\":\"c\"}\n{\"text\":5}\n{\"text\":";
        let (rows, bad) = texts("a.jsonl", json, "text");
        assert_eq!(rows, ["a\nb", "c"]);
        assert_eq!(bad[0], "a.jsonl, line 4: \"text\" is not a string");
        assert!(bad[1].starts_with("a.jsonl, line 5: no JSON object (EOF"), "{}", bad[1]);
    }

    #[test]
    fn a_wrong_column_is_an_error_with_the_right_ones() {
        let error = |file: &str, text: &str| {
            rows(file, text, "txt", &mut Tally::default(), |_, _| Ok(())).unwrap_err().to_string()
        };
        assert_eq!(error("a.csv", "id,text\n1,x"), "column of a.csv: expected one of id, text, found txt");
        assert!(error("a.jsonl", "{\"text\":\"x\"}\n").contains("no \"txt\""));
        assert!(error("a.txt", "x").contains("expected none"));
    }
}

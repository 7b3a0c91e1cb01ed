//! Step one: from files to clean documents, some of which are kept apart to measure on.

use super::clean::{self, Alphabet, Removed, Tally, What};
use super::decode::decode;
use super::recipe::CorpusOptions;
use super::split::split;
use super::table;
use super::template::Template;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The most text, in bytes of all files together.
pub const LARGEST: usize = 256 << 20;

/// The least text one can both train and measure on, in characters.
pub const LEAST: usize = 200;

/// The most documents: each takes memory beside its text.
const MOST_DOCUMENTS: usize = 4 << 20;

/// How much of the clean text the report shows, in characters.
const PREVIEW: usize = 2000;

/// A file as it was chosen.
#[derive(Clone, Debug, Default)]
pub struct SourceFile {
    pub name: String,
    pub bytes: Vec<u8>,
    /// The column of a table (see [`table::columns`]) whose rows are the documents; none reads the file as plain text.
    pub column: Option<String>,
}

/// Clean documents in the order of the files.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    /// What is trained on.
    pub documents: Vec<String>,
    /// What is only measured on.
    pub held_out: Vec<String>,
    pub report: CleanReport,
}

/// What cleaning made of the files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanReport {
    /// Training and held-out documents together, and the characters and UTF-8 bytes in them.
    pub documents: usize,
    pub characters: usize,
    pub bytes: usize,
    pub held_out_documents: usize,
    pub held_out_bytes: usize,
    /// How many different characters there are.
    pub alphabet: usize,
    pub removed: Vec<Removed>,
    /// The beginning of the training text.
    pub preview: String,
}

impl Corpus {
    /// Reads, cleans and splits. Text in UTF-8, UTF-16 and Windows-1252 is understood. Of at least ten documents, whole
    /// ones are held out; fewer are cut into blocks first. A document that is also among the held-out ones is not trained
    /// on.
    ///
    /// # Errors
    /// [`Error::BadFile`] for a file that is not text or a table that is none; [`Error::BadCorpus`] for too little or too
    /// much text; [`Error::BadParameter`] for options out of their range.
    pub fn read(files: Vec<SourceFile>, options: &CorpusOptions) -> Result<Self> {
        if !(0.0..=0.5).contains(&options.held_out) {
            return Err(Error::BadParameter {
                name: "held_out".to_string(),
                expected: "a share from 0 to 0.5".to_string(),
                found: options.held_out.to_string(),
            });
        }
        let size: usize = files.iter().map(|file| file.bytes.len()).sum();
        if size > LARGEST {
            let found = format!("{:.1} MiB: leave some of it out", size as f64 / f64::from(1 << 20));
            return Err(bad_corpus(format!("at most {} MiB", LARGEST >> 20), found));
        }
        let template = Template::parse(&options.template)?;
        let (mut alphabet, mut tally) = (Alphabet::new(), Tally::default());
        let mut documents = Vec::new();
        for file in files {
            read_file(file, options, template.as_ref(), &mut alphabet, &mut tally, &mut documents)?;
        }
        let rare_from = options.min_character_count.max(1);
        let (mut kept, mut characters) = (Alphabet::new(), 0usize);
        documents.retain_mut(|text| {
            if rare_from > 1 {
                alphabet.drop_rare(text, rare_from, options.rare, &mut tally);
            }
            clean::spaces(text, options.whitespace, &mut tally);
            for c in text.chars() {
                kept.add(c);
                characters += 1;
            }
            if text.is_empty() {
                tally.add(What::Empty, 1, String::new);
            }
            !text.is_empty()
        });
        if characters < LEAST {
            let found = format!("{characters}: paste more text or add a file");
            return Err(bad_corpus(format!("at least {LEAST} characters"), found));
        }
        let (mut documents, held_out) = split(documents, options.held_out, options.held_out_by, options.seed);
        let known: HashSet<&str> = held_out.iter().map(String::as_str).collect();
        documents.retain(|text| {
            let new = !known.contains(text.as_str());
            if !new {
                tally.add(What::Duplicate, 1, || beginning(text, 40));
            }
            new
        });
        if documents.is_empty() {
            return Err(bad_corpus("different documents".to_string(), "the same over and over".to_string()));
        }
        let bytes = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
        let report = CleanReport {
            documents: documents.len() + held_out.len(),
            characters: documents.iter().chain(&held_out).map(|text| text.chars().count()).sum(),
            bytes: bytes(&documents) + bytes(&held_out),
            held_out_documents: held_out.len(),
            held_out_bytes: bytes(&held_out),
            alphabet: kept.len(),
            removed: tally.into_removed(),
            preview: preview(&documents),
        };
        Ok(Self { documents, held_out, report })
    }
}

/// Appends the documents of one file, clean but for what can only be known when all are read.
fn read_file(
    file: SourceFile,
    options: &CorpusOptions,
    template: Option<&Template>,
    alphabet: &mut Alphabet,
    tally: &mut Tally,
    documents: &mut Vec<String>,
) -> Result<()> {
    let SourceFile { name, bytes, column } = file;
    let text = decode(&name, bytes, tally)?;
    let mut add = |raw: &str, tally: &mut Tally| {
        let filled = template.map(|template| template.fill(raw, tally));
        let text = clean::characters(filled.as_deref().unwrap_or(raw), options, alphabet, tally);
        if documents.len() == MOST_DOCUMENTS {
            return Err(bad_corpus(
                format!("at most {MOST_DOCUMENTS} documents"),
                "more: choose another separator".to_string(),
            ));
        }
        documents.push(text);
        Ok(())
    };
    match column {
        Some(column) => table::rows(&name, &text, &column, tally, add),
        None if options.separator.is_empty() => add(&text, tally),
        None => {
            let mut parts = text.split(options.separator.as_str()).peekable();
            while let Some(part) = parts.next() {
                // What follows the last separator is no document unless there is something.
                if parts.peek().is_some() || !part.trim().is_empty() {
                    add(part, tally)?;
                }
            }
            Ok(())
        }
    }
}

fn bad_corpus(expected: String, found: String) -> Error {
    Error::BadCorpus { expected, found }
}

/// The first `length` characters.
fn beginning(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

fn preview(documents: &[String]) -> String {
    let mut text = String::new();
    for document in documents {
        let room = PREVIEW.saturating_sub(text.chars().count());
        if room == 0 {
            break;
        }
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&beginning(document, room));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> SourceFile {
        SourceFile { name: name.to_string(), bytes: text.as_bytes().to_vec(), column: None }
    }

    /// Twenty documents of different words.
    fn stories() -> Vec<String> {
        (0..20).map(|n| format!("Story {n} is about the number {}, which is odd.", 2 * n + 1)).collect()
    }

    #[test]
    fn documents_are_split_cleaned_and_counted() {
        let text = format!("{}\r\n<|endoftext|>\n \n<|endoftext|>\n", stories().join("\n<|endoftext|>\n"));
        let corpus = Corpus::read(vec![file("a.txt", &text)], &CorpusOptions::default()).unwrap();
        let all: HashSet<&String> = corpus.documents.iter().chain(&corpus.held_out).collect();
        assert_eq!(all, stories().iter().collect());
        let report = corpus.report;
        assert_eq!((report.documents, report.held_out_documents), (20, 2));
        assert_eq!(report.bytes, stories().concat().len());
        assert_eq!(report.held_out_bytes, corpus.held_out.concat().len());
        assert_eq!(report.removed, [Removed { what: What::Empty, count: 1, examples: vec![] }]);
        assert!(report.preview.starts_with(&format!("{}\n\n{}", corpus.documents[0], corpus.documents[1])));
    }

    #[test]
    fn what_is_held_out_is_not_trained_on() {
        let mut documents = stories();
        documents.extend(stories());
        let options = CorpusOptions { separator: "\n".to_string(), ..CorpusOptions::default() };
        let corpus = Corpus::read(vec![file("a.txt", &documents.join("\n"))], &options).unwrap();
        assert!(corpus.documents.iter().all(|document| !corpus.held_out.contains(document)));
        let dropped = &corpus.report.removed[0];
        assert_eq!((dropped.what, dropped.count as usize), (What::Duplicate, 40 - corpus.report.documents));
        assert!(dropped.count > 0);
        let same = Corpus::read(vec![file("a.txt", &"the same line\n".repeat(40))], &options).unwrap_err();
        assert!(same.to_string().contains("different documents"));
    }

    #[test]
    fn a_table_and_a_pasted_text_make_one_corpus() {
        let table: String = stories().iter().enumerate().map(|(n, story)| format!("{n},\"{story}\"\n")).collect();
        let table = SourceFile { column: Some("text".to_string()), ..file("a.csv", &format!("id,text\n{table}")) };
        let corpus = Corpus::read(vec![table, file("b.txt", "And one more.")], &CorpusOptions::default()).unwrap();
        assert_eq!(corpus.report.documents, 21);
        let pasted = Corpus::read(vec![file("pasted", &stories().join("\n"))], &CorpusOptions::default()).unwrap();
        assert_eq!(pasted.documents.len() + pasted.held_out.len(), pasted.report.documents);
        let parts: Vec<&String> = pasted.documents.iter().chain(&pasted.held_out).collect();
        assert!(parts.iter().all(|part| part.starts_with("Story") && part.ends_with("odd.")));
    }

    /// Files of three encodings, one of them a single line, and one with broken bytes in it.
    #[test]
    fn files_of_any_encoding_and_without_lines_make_one_corpus() {
        let bytes = |name: &str, bytes: Vec<u8>| SourceFile { name: name.to_string(), bytes, column: None };
        let line = "Ein Satz mit Wörtern. ".repeat(50_000);
        let western: Vec<u8> = "Un café, où ça? ".repeat(40).chars().map(|c| c as u8).collect();
        let wide = format!("\u{FEFF}{}", "你好，世界。".repeat(30)).encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mixed = ["Größe und Maß. ".repeat(20).as_bytes(), b"caf\xE9", "Größe. ".as_bytes()].concat();
        let files = vec![file("line.txt", &line), bytes("b.txt", western), bytes("c.txt", wide), bytes("d.txt", mixed)];
        let corpus = Corpus::read(files, &CorpusOptions::default()).unwrap();
        let (training, held_out) = (corpus.documents.concat(), corpus.held_out.concat());
        let all = format!("{training}{held_out}");
        for part in ["Wörtern", "où ça", "世界", "Maß. caf", "Größe."] {
            assert!(all.contains(part), "{part}");
        }
        assert!(!all.contains(char::REPLACEMENT_CHARACTER));
        // One long line is cut between sentences.
        assert!(corpus.held_out.iter().all(|text| text.ends_with(['.', '?', '。'])), "{:?}", corpus.report);
        assert!(corpus.report.removed.iter().any(|removed| removed.what == What::Invalid));
    }

    #[test]
    fn rows_of_fields_become_documents_by_a_template() {
        let rows: Vec<String> = (0..20).map(|n| format!("the number {n}\tle nombre {n}")).collect();
        let options = CorpusOptions {
            separator: "\n".to_string(),
            template: "English: {1}\nFrench: {2}".to_string(),
            ..CorpusOptions::default()
        };
        let corpus = Corpus::read(vec![file("a.tsv", &format!("{}\nalone\n", rows.join("\r\n")))], &options).unwrap();
        let mut documents: Vec<&String> = corpus.documents.iter().chain(&corpus.held_out).collect();
        documents.sort_unstable();
        assert_eq!(documents.len(), 20);
        assert_eq!(documents[0], "English: the number 0\nFrench: le nombre 0");
        let invalid = &corpus.report.removed[0];
        assert_eq!((invalid.what, invalid.count), (What::Invalid, 1));
    }

    #[test]
    fn too_little_too_much_and_impossible_options_are_refused() {
        let error = |text: &str, options: &CorpusOptions| {
            Corpus::read(vec![file("a.txt", text)], options).unwrap_err().to_string()
        };
        let options = CorpusOptions::default();
        let ten_words = "One two three four five six seven eight nine ten.";
        let expected = "the text: expected at least 200 characters, found 49: paste more text or add a file";
        assert_eq!(error(ten_words, &options), expected);
        assert!(error(" \n ", &options).contains("found 0"));
        assert!(Corpus::read(vec![], &options).is_err());
        assert!(error(ten_words, &CorpusOptions { held_out: 0.9, ..options.clone() }).contains("0 to 0.5"));
        assert!(error(ten_words, &CorpusOptions { held_out: f64::NAN, ..options.clone() }).contains("0 to 0.5"));
        let large = SourceFile { bytes: vec![b'a'; LARGEST + 1], ..SourceFile::default() };
        assert!(Corpus::read(vec![large], &options).unwrap_err().to_string().contains("256 MiB"));
    }
}

//! sentencepiece's model files (`spiece.model`, `source.spm`) and its unigram model (Kudo 2018): what
//! `SentencePieceProcessor` makes of a text, byte for byte. Files are read within bounds, whatever they say.

use super::charsmap::Charsmap;
use super::{bad, unsupported};
use crate::Result;
use std::collections::HashSet;
use std::ops::Range;

/// The character that stands for a space.
pub(super) const SPACE: &str = "▁";
/// No model has more pieces.
const MOST_PIECES: usize = 1 << 21;
/// What a character that no piece has costs beyond the least likely piece.
const UNKNOWN_COST: f32 = 10.0;

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    /// Never found in a text: the beginning of one, say.
    Control,
    /// Found whole wherever it stands.
    UserDefined,
    /// Has an id and nothing else.
    Unused,
    Byte,
}

/// A line of the vocabulary.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub text: String,
    pub score: f32,
    pub kind: Kind,
}

/// A model file.
#[derive(Debug)]
pub(super) struct Model {
    pub pieces: Vec<Piece>,
    /// 1 is unigram, 2 byte pairs.
    pub model_type: u64,
    pub unknown: u32,
    /// What an unknown piece is shown as.
    pub unknown_surface: String,
    pub byte_fallback: bool,
    space_as_suffix: bool,
    pub add_dummy_prefix: bool,
    pub remove_extra_whitespaces: bool,
    escape_whitespaces: bool,
    /// As the file has it.
    pub charsmap: Vec<u8>,
}

/// A message of the file, field by field.
struct Fields<'a>(&'a [u8]);

/// The value of a field.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Float(f32),
    /// Of a kind that nothing here has.
    Other,
}

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Field::Number(self.number()?),
            1 => self.take(8).map(|_| Field::Other)?,
            2 => {
                let len = usize::try_from(self.number()?).ok()?;
                Field::Bytes(self.take(len)?)
            }
            5 => Field::Float(f32::from_le_bytes(*self.take(4)?.first_chunk()?)),
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    /// None where the message is damaged.
    type Item = Option<(u64, Field<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<(u64, Field<'_>)>> {
    Fields(bytes)
        .map(|field| field.ok_or_else(|| bad("a sentencepiece model", "a file that is damaged or another kind")))
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|error| bad("sentencepiece pieces in UTF-8", &error.to_string()))
}

impl Model {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut model = Self {
            pieces: Vec::new(),
            model_type: 1,
            unknown: 0,
            unknown_surface: " \u{2047} ".to_string(),
            byte_fallback: false,
            space_as_suffix: false,
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            escape_whitespaces: true,
            charsmap: Vec::new(),
        };
        for field in fields(bytes) {
            match field? {
                (1, Field::Bytes(_)) if model.pieces.len() == MOST_PIECES => {
                    return Err(bad(&format!("at most {MOST_PIECES} pieces"), "more"));
                }
                (1, Field::Bytes(piece)) => model.pieces.push(Piece::parse(piece)?),
                (2, Field::Bytes(trainer)) => model.trainer(trainer)?,
                (3, Field::Bytes(normalizer)) => model.normalizer(normalizer)?,
                (5, Field::Bytes(denormalizer)) => {
                    for field in fields(denormalizer) {
                        if matches!(field?, (2, Field::Bytes(map)) if !map.is_empty()) {
                            return Err(unsupported("a sentencepiece model", "no denormalizer", "one"));
                        }
                    }
                }
                _ => {}
            }
        }
        model.check()?;
        Ok(model)
    }

    fn trainer(&mut self, bytes: &[u8]) -> Result<()> {
        for field in fields(bytes) {
            match field? {
                (3, Field::Number(kind)) => self.model_type = kind,
                (24, Field::Number(on)) => self.space_as_suffix = on != 0,
                (35, Field::Number(on)) => self.byte_fallback = on != 0,
                (44, Field::Bytes(surface)) => self.unknown_surface = text(surface)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn normalizer(&mut self, bytes: &[u8]) -> Result<()> {
        for field in fields(bytes) {
            match field? {
                (2, Field::Bytes(map)) => self.charsmap = map.to_vec(),
                (3, Field::Number(on)) => self.add_dummy_prefix = on != 0,
                (4, Field::Number(on)) => self.remove_extra_whitespaces = on != 0,
                (5, Field::Number(on)) => self.escape_whitespaces = on != 0,
                _ => {}
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        let mut known = HashSet::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            if piece.text.is_empty() || !known.insert(piece.text.as_str()) || !piece.score.is_finite() {
                let found = format!("{:?} with score {}", piece.text, piece.score);
                return Err(bad("pieces that have a text, each once, and a score", &found));
            }
        }
        let unknown = self.pieces.iter().position(|piece| piece.kind == Kind::Unknown);
        self.unknown = unknown.ok_or_else(|| bad("a sentencepiece model with a piece for the unknown", "none"))? as u32;
        Ok(())
    }
}

impl Piece {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut piece = Self { text: String::new(), score: 0.0, kind: Kind::Normal };
        for field in fields(bytes) {
            match field? {
                (1, Field::Bytes(bytes)) => piece.text = text(bytes)?,
                (2, Field::Float(score)) => piece.score = score,
                (3, Field::Number(kind)) => {
                    piece.kind = match kind {
                        1 => Kind::Normal,
                        2 => Kind::Unknown,
                        3 => Kind::Control,
                        4 => Kind::UserDefined,
                        5 => Kind::Unused,
                        6 => Kind::Byte,
                        other => return Err(bad("a kind of piece from 1 to 6", &other.to_string())),
                    }
                }
                _ => {}
            }
        }
        Ok(piece)
    }
}

/// A part of a text that is one piece, or characters that no piece has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// The piece's text; of what is unknown, the characters themselves.
    pub text: String,
    pub unknown: bool,
    /// Where it comes from, in bytes.
    pub range: Range<usize>,
}

/// Cuts texts by the likelihood of their pieces.
pub(super) struct Unigram {
    model: Model,
    charsmap: Charsmap,
    /// Ids of the pieces that are found in texts, in the order of their bytes.
    sorted: Vec<u32>,
    /// Those that are found whole, the longest first.
    whole: Vec<u32>,
    least: f32,
    most: f32,
}

/// The best way to the end of a stretch of text, and its last piece.
#[derive(Clone, Copy)]
struct Best {
    score: f32,
    from: usize,
    id: u32,
}

impl Unigram {
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) for the other kinds of sentencepiece models.
    pub(super) fn new(model: Model) -> Result<Self> {
        if model.model_type != 1 {
            return Err(unsupported(
                "this sentencepiece model",
                "a unigram model",
                &format!("kind {}", model.model_type),
            ));
        }
        let of = |wanted: &[Kind]| -> Vec<u32> {
            let pieces = model.pieces.iter().enumerate();
            pieces.filter(|(_, piece)| wanted.contains(&piece.kind)).map(|(id, _)| id as u32).collect()
        };
        let piece = |id: &u32| model.pieces[*id as usize].text.as_bytes();
        let mut sorted = of(&[Kind::Normal, Kind::UserDefined, Kind::Unused]);
        sorted.sort_by(|a, b| piece(a).cmp(piece(b)));
        let mut whole = of(&[Kind::UserDefined]);
        whole.sort_by_key(|id| std::cmp::Reverse(piece(id).len()));
        let scores = || model.pieces.iter().filter(|piece| piece.kind == Kind::Normal).map(|piece| piece.score);
        let (least, most) = (scores().fold(f32::MAX, f32::min), scores().fold(f32::MIN_POSITIVE, f32::max));
        let charsmap = Charsmap::parse(&model.charsmap)?;
        Ok(Self { model, charsmap, sorted, whole, least, most })
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    fn piece(&self, id: u32) -> &[u8] {
        self.model.pieces.get(id as usize).map_or(&[], |piece| piece.text.as_bytes())
    }

    /// The pieces of a text.
    pub(super) fn encode(&self, text: &str) -> Vec<Part> {
        let (normal, origin) = self.normalize(text.as_bytes());
        let mut parts: Vec<Part> = Vec::new();
        for (range, id) in self.best(&normal) {
            let unknown = id == self.model.unknown;
            let place = origin[range.start]..origin[range.end];
            let bytes = &normal[range];
            if unknown && self.model.byte_fallback {
                let byte = |byte: &u8| Part { text: format!("<0x{byte:02X}>"), unknown: false, range: place.clone() };
                parts.extend(bytes.iter().map(byte));
                continue;
            }
            let text = String::from_utf8_lossy(bytes);
            match parts.last_mut().filter(|last| last.unknown && unknown) {
                Some(last) => {
                    last.text.push_str(&text);
                    last.range.end = place.end;
                }
                None => parts.push(Part { text: text.into_owned(), unknown, range: place }),
            }
        }
        parts
    }

    /// What stands for the beginning of a text, and how much of it that is.
    fn beginning<'a>(&'a self, text: &'a [u8]) -> (&'a [u8], usize) {
        if let Some(piece) = self.whole.iter().map(|id| self.piece(*id)).find(|piece| text.starts_with(piece)) {
            return (piece, piece.len());
        }
        if let Some((len, new)) = self.charsmap.longest(text) {
            return (new, len);
        }
        let len = character(text);
        match text.get(..len).filter(|c| std::str::from_utf8(c).is_ok()) {
            Some(c) => (c, len),
            None => ("\u{fffd}".as_bytes(), 1),
        }
    }

    /// The text as pieces are looked for in it, and for every byte of it, and its end, where it comes from.
    fn normalize(&self, text: &[u8]) -> (Vec<u8>, Vec<usize>) {
        let model = &self.model;
        let space = if model.escape_whitespaces { SPACE.as_bytes() } else { b" " };
        let mut at = 0;
        if model.remove_extra_whitespaces {
            while at < text.len() {
                let (new, len) = self.beginning(&text[at..]);
                if new != b" " {
                    break;
                }
                at += len;
            }
        }
        let (mut out, mut origin) = (Vec::with_capacity(text.len() + 3), Vec::with_capacity(text.len() + 4));
        if at == text.len() {
            return (out, vec![at]);
        }
        let mut push = |out: &mut Vec<u8>, bytes: &[u8], at: usize| {
            out.extend_from_slice(bytes);
            origin.extend(bytes.iter().map(|_| at));
        };
        if model.add_dummy_prefix && !model.space_as_suffix {
            push(&mut out, space, at);
        }
        let mut after_space = model.remove_extra_whitespaces;
        while at < text.len() {
            let (mut new, len) = self.beginning(&text[at..]);
            while after_space && new.first() == Some(&b' ') {
                new = &new[1..];
            }
            for byte in new {
                match byte {
                    b' ' => push(&mut out, space, at),
                    byte => push(&mut out, std::slice::from_ref(byte), at),
                }
            }
            if let Some(last) = new.last() {
                after_space = *last == b' ' && model.remove_extra_whitespaces;
            }
            at += len;
        }
        let mut end = at;
        if model.remove_extra_whitespaces {
            while out.ends_with(space) {
                out.truncate(out.len() - space.len());
                end = origin[out.len()];
                origin.truncate(out.len());
            }
        }
        if model.add_dummy_prefix && model.space_as_suffix {
            out.extend_from_slice(space);
            origin.extend(space.iter().map(|_| end));
        }
        origin.push(end);
        (out, origin)
    }

    /// The likeliest cut (Viterbi 1967).
    fn best(&self, text: &[u8]) -> Vec<(Range<usize>, u32)> {
        let mut ends: Vec<Option<Best>> = vec![None; text.len() + 1];
        let unknown_score = self.least - UNKNOWN_COST;
        let mut from = 0;
        while from < text.len() {
            let so_far = ends[from].map_or(0.0, |best| best.score);
            let one = character(&text[from..]).min(text.len() - from);
            let mut alone = false;
            let mut consider = |len: usize, id: u32, score: f64| {
                let end = &mut ends[from + len];
                if end.is_none_or(|best| score > f64::from(best.score)) {
                    *end = Some(Best { score: score as f32, from, id });
                }
            };
            for id in self.pieces_at(&text[from..]) {
                let piece = &self.model.pieces[id as usize];
                let len = piece.text.len();
                let score = match piece.kind {
                    Kind::Unused => continue,
                    // A bonus that nothing beats; the reference computes it in double precision, and the others not.
                    Kind::UserDefined => f64::from(len as f32 * self.most) - 0.1 + f64::from(so_far),
                    _ => f64::from(piece.score + so_far),
                };
                consider(len, id, score);
                alone |= len == one;
            }
            if !alone {
                consider(one, self.model.unknown, f64::from(unknown_score + so_far));
            }
            from += one;
        }
        let mut cut = Vec::new();
        let mut end = text.len();
        while let Some(best) = ends.get(end).copied().flatten().filter(|_| end > 0) {
            cut.push((best.from..end, best.id));
            end = best.from;
        }
        cut.reverse();
        cut
    }

    /// The pieces that `text` begins with, the shortest first.
    fn pieces_at<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        let mut left = &self.sorted[..];
        let mut depth = 0;
        std::iter::from_fn(move || {
            while let Some(byte) = text.get(depth) {
                let at = |id: &u32| self.piece(*id).get(depth).copied();
                // Those that end before come first, since they sort before.
                let below = left.partition_point(|id| at(id) < Some(*byte));
                let up_to = left.partition_point(|id| at(id) <= Some(*byte));
                left = &left[below..up_to];
                depth += 1;
                let first = left.first()?;
                if self.piece(*first).len() == depth {
                    return Some(*first);
                }
            }
            None
        })
    }
}

/// The length of the character that `text` begins with, by its first byte.
fn character(text: &[u8]) -> usize {
    match text.first() {
        None => 0,
        Some(0..0xc0) => 1,
        Some(0xc0..0xe0) => 2,
        Some(0xe0..0xf0) => 3,
        Some(_) => 4,
    }
}

//! Learning a vocabulary once more, merge by merge, to be watched: how the corpus shrinks and a text is cut anew.

use super::recipe::VocabularyKind;
use super::trainer::Trainer;
use super::vocabulary::{Vocabulary, merges, readable, spelled};
use super::words::Cutter;
use crate::Result;
use crate::text::Tokenizer;
use serde::Serialize;
use std::collections::HashMap;

/// A character that is not in the vocabulary.
const UNKNOWN: u32 = u32::MAX;

/// One step of learning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Merge {
    pub left: String,
    pub right: String,
    pub merged: String,
    /// How often the two stood together in the corpus when they were merged.
    pub count: usize,
}

/// A merge by its ids.
#[derive(Clone, Copy)]
struct Rule {
    pair: (u32, u32),
    merged: u32,
}

/// The words of the corpus, as far as they are merged.
pub struct Replay {
    kind: VocabularyKind,
    cutter: Cutter,
    /// Tokens as text, by id.
    names: Vec<String>,
    /// How many characters of the vocabulary's alphabet each token has, by id.
    lengths: Vec<usize>,
    letters: HashMap<char, u32>,
    rules: Vec<Rule>,
    /// The rule of a pair.
    ranks: HashMap<(u32, u32), usize>,
    words: Vec<(Vec<u32>, usize)>,
    /// For each rule, words that have or had its pair.
    places: Vec<Vec<u32>>,
    /// For each rule applied so far, how often, and the tokens of the corpus afterwards.
    applied: Vec<(usize, usize)>,
    /// The tokens of the corpus before the first merge.
    letters_of_corpus: usize,
}

impl Replay {
    /// All words in single letters.
    pub fn new(vocabulary: &Vocabulary) -> Result<Self> {
        Self::of(vocabulary.kind(), vocabulary.tokenizer(), vocabulary.merges(), vocabulary.words())
    }

    /// The same of a run that was resumed: its tokenizer has the merges, and its documents have the words.
    pub fn of_run(trainer: &Trainer) -> Result<Self> {
        let documents = trainer.documents()?;
        let words = Cutter::new()?.count(documents.iter().map(String::as_str))?;
        let setup = trainer.setup();
        Self::of(setup.recipe.vocabulary.kind, trainer.tokenizer(), &merges(&setup.tokenizer)?, &words)
    }

    fn of(
        kind: VocabularyKind,
        tokenizer: &Tokenizer,
        merges: &[(String, String)],
        words: &[(String, u64)],
    ) -> Result<Self> {
        let size = tokenizer.vocab_size() as u32;
        let tokens: Vec<String> = (0..size).map(|id| tokenizer.token(id).unwrap_or_default()).collect();
        let ids: HashMap<&str, u32> = tokens.iter().map(String::as_str).zip(0..).collect();
        let id = |token: &str| ids.get(token).copied().unwrap_or(UNKNOWN);
        let letters = tokens.iter().zip(0..).filter_map(|(token, id)| {
            let mut letters = token.chars();
            Some((letters.next()?, id)).filter(|_| letters.next().is_none())
        });
        let letters: HashMap<char, u32> = letters.collect();
        let rules: Vec<Rule> = merges
            .iter()
            .map(|(left, right)| Rule { pair: (id(left), id(right)), merged: id(&format!("{left}{right}")) })
            .collect();
        let ranks = rules.iter().enumerate().map(|(rank, rule)| (rule.pair, rank)).collect();
        let mut replay = Self {
            kind,
            cutter: Cutter::new()?,
            names: (0..size).map(|id| readable(&tokenizer.token_bytes(id))).collect(),
            lengths: tokens.iter().map(|token| token.chars().count()).collect(),
            letters,
            places: vec![Vec::new(); rules.len()],
            rules,
            ranks,
            words: Vec::new(),
            applied: Vec::new(),
            letters_of_corpus: 0,
        };
        for (word, count) in words {
            let ids = replay.letters(&spelled(word, kind));
            let count = *count as usize;
            replay.letters_of_corpus += ids.len() * count;
            replay.note(&ids, replay.words.len() as u32, |_| true);
            replay.words.push((ids, count));
        }
        Ok(replay)
    }

    /// How many merges there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many tokens the corpus has with only the first `merges` merges. What was computed once is remembered.
    pub fn at(&mut self, merges: usize) -> usize {
        let merges = merges.min(self.rules.len());
        while self.applied.len() < merges {
            self.step();
        }
        merges.checked_sub(1).and_then(|last| self.applied.get(last)).map_or(self.letters_of_corpus, |(_, n)| *n)
    }

    /// The merges from the one numbered `from` to before `to`, in the order learned.
    pub fn merges(&mut self, from: usize, to: usize) -> Vec<Merge> {
        self.at(to);
        let name = |id: u32| self.names.get(id as usize).cloned().unwrap_or_default();
        let steps = self.rules.iter().zip(&self.applied).take(to).skip(from);
        let merge = |(rule, (count, _)): (&Rule, &(usize, usize))| Merge {
            left: name(rule.pair.0),
            right: name(rule.pair.1),
            merged: name(rule.merged),
            count: *count,
        };
        steps.map(merge).collect()
    }

    /// `text` cut into tokens with only the first `merges` merges, readable.
    pub fn pieces(&self, merges: usize, text: &str) -> Result<Vec<String>> {
        let mut pieces = Vec::new();
        self.cutter.cut(text, |word| {
            let word = spelled(word, self.kind);
            let mut ids = self.letters(&word);
            self.reduce(&mut ids, merges, None);
            let mut letters = word.chars();
            for id in ids {
                let length = self.lengths.get(id as usize).copied().unwrap_or(1);
                let letters: String = letters.by_ref().take(length).collect();
                pieces.push(self.names.get(id as usize).cloned().unwrap_or(letters));
            }
        })?;
        Ok(pieces)
    }

    fn letters(&self, word: &str) -> Vec<u32> {
        word.chars().map(|c| self.letters.get(&c).copied().unwrap_or(UNKNOWN)).collect()
    }

    /// Notes for the rules still to come which of their pairs are in the word, among those with a token that `is_new`.
    fn note(&mut self, ids: &[u32], word: u32, is_new: impl Fn(u32) -> bool) {
        for pair in ids.array_windows() {
            let [left, right] = *pair;
            if (is_new(left) || is_new(right))
                && let Some(rank) = self.ranks.get(&(left, right))
                && let Some(places) = self.places.get_mut(*rank)
                && places.last() != Some(&word)
            {
                places.push(word);
            }
        }
    }

    /// Applies the next rule to the whole corpus.
    fn step(&mut self) {
        let rank = self.applied.len();
        let Some(rule) = self.rules.get(rank).copied() else { return };
        let mut places = self.places.get_mut(rank).map(std::mem::take).unwrap_or_default();
        places.sort_unstable();
        places.dedup();
        let mut tokens = self.at(rank);
        let mut occurrences = 0;
        for place in places {
            let Some((ids, count)) = self.words.get_mut(place as usize) else { continue };
            let (mut ids, count) = (std::mem::take(ids), *count);
            let before = ids.len();
            merge(&mut ids, rule);
            occurrences += (before - ids.len()) * count;
            // What this makes may be the pair of an earlier rule, which encoding would then apply too.
            let new = self.reduce(&mut ids, rank, Some(rule.merged));
            tokens -= (before - ids.len()) * count;
            self.note(&ids, place, |id| new.contains(&id));
            if let Some(word) = self.words.get_mut(place as usize) {
                word.0 = ids;
            }
        }
        self.applied.push((occurrences, tokens));
    }

    /// Applies the first `merges` rules to a word, the earliest that fits first, and gives the tokens made. Where they
    /// have been applied before `made` was, only what is new has to be looked at.
    fn reduce(&self, ids: &mut Vec<u32>, merges: usize, made: Option<u32>) -> Vec<u32> {
        let unseen = made.is_none();
        let mut made: Vec<u32> = made.into_iter().collect();
        loop {
            let pairs = ids.array_windows().filter(|pair| unseen || pair.iter().any(|id| made.contains(id)));
            let ranks = pairs.filter_map(|[left, right]| self.ranks.get(&(*left, *right)));
            let Some(rank) = ranks.copied().filter(|rank| *rank < merges).min() else { return made };
            let Some(rule) = self.rules.get(rank).copied() else { return made };
            merge(ids, rule);
            made.push(rule.merged);
        }
    }
}

/// Replaces every occurrence of the pair, from the left.
fn merge(ids: &mut Vec<u32>, rule: Rule) {
    let (mut read, mut written) = (0, 0);
    while let Some(&left) = ids.get(read) {
        let pair = ids.get(read + 1).is_some_and(|right| (left, *right) == rule.pair);
        if let Some(place) = ids.get_mut(written) {
            *place = if pair { rule.merged } else { left };
        }
        read += if pair { 2 } else { 1 };
        written += 1;
    }
    ids.truncate(written);
}

#[cfg(test)]
mod tests {
    use super::super::recipe::VocabularyOptions;
    use super::super::vocabulary::tests::witnesses;
    use super::*;

    #[test]
    fn with_all_merges_texts_are_cut_as_the_tokenizer_does() {
        for witness in witnesses() {
            let vocabulary = witness.train();
            let mut replay = Replay::new(&vocabulary).unwrap();
            let last = replay.len();
            assert_eq!(replay.at(last), vocabulary.report().tokens);
            let tokenizer = vocabulary.tokenizer();
            for case in &witness.cases {
                let unknown = tokenizer.encode_plain("\u{10FFFF}").unwrap();
                let pieces = replay.pieces(last, &case.text).unwrap();
                assert_eq!(pieces.len(), case.ids.len(), "{pieces:?}");
                for (piece, id) in pieces.iter().zip(&case.ids) {
                    let name = readable(&tokenizer.token_bytes(*id));
                    assert!(*piece == name || unknown == [*id] && piece.chars().count() == 1, "{piece} {name}");
                }
            }
        }
    }

    #[test]
    fn the_corpus_shrinks_by_what_each_merge_says() {
        let options = VocabularyOptions { kind: VocabularyKind::ByteLevelBpe, size: 261 };
        let vocabulary = Vocabulary::train(["low low lower 好"].into_iter(), &options).unwrap();
        let mut replay = Replay::new(&vocabulary).unwrap();
        assert_eq!((replay.len(), replay.is_empty()), (4, false));
        // Ties go to the lower ids: first "lo", found three times.
        let merges = replay.merges(0, 4);
        let first = Merge { left: "l".into(), right: "o".into(), merged: "lo".into(), count: 3 };
        assert_eq!(merges[0], first);
        assert_eq!((merges[1].merged.as_str(), merges[1].count), ("low", 3));
        assert_eq!((merges[2].merged.as_str(), merges[2].count), (" low", 2));
        let tokens: Vec<usize> = (0..=4).map(|n| replay.at(n)).collect();
        assert_eq!(tokens[0], "low low lower 好".len());
        assert!((1..=4).all(|n| tokens[n - 1] - tokens[n] == merges[n - 1].count), "{tokens:?}");
        assert_eq!(replay.at(1), tokens[1]);
        assert_eq!(replay.pieces(0, "low 好").unwrap(), ["l", "o", "w", " ", "‹E5›", "‹A5›", "‹BD›"]);
        assert_eq!(replay.pieces(2, "low low").unwrap(), ["low", " ", "low"]);
        assert_eq!(replay.merges(3, 99).len(), 1);
    }

    /// A text without spaces.
    #[test]
    fn words_may_be_as_long_as_they_get() {
        let letters = crate::train::Random::new(1, "letters");
        let text: String = (0..60_000).map(|i| char::from(b'a' + (letters.word(i) % 26) as u8)).collect();
        let options = VocabularyOptions { kind: VocabularyKind::ByteLevelBpe, size: 600 };
        let vocabulary = Vocabulary::train([text.as_str()].into_iter(), &options).unwrap();
        let mut replay = Replay::new(&vocabulary).unwrap();
        assert_eq!(replay.at(replay.len()), vocabulary.report().tokens);
    }

    #[test]
    fn every_number_of_merges_gives_the_words_of_that_vocabulary() {
        // Repetitive words, where pairs overlap and merges make pairs of earlier ones.
        let text = "aaaa abab ababab aabaab baab aaabaaab bbbb abba abbaabba aaaaaaa bababa ".repeat(3);
        let train = |size| {
            let options = VocabularyOptions { kind: VocabularyKind::Bpe, size };
            Vocabulary::train([text.as_str()].into_iter(), &options).unwrap()
        };
        let largest = train(60);
        let mut replay = Replay::new(&largest).unwrap();
        for merges in 0..=replay.len() {
            assert_eq!(replay.at(merges), train(5 + merges).report().tokens, "{merges} merges");
            assert_eq!(replay.pieces(merges, &text).unwrap().len(), replay.at(merges));
        }
    }
}

//! Finding the answer to a question in a text (transformers' `question-answering`, as it was until version 4): the model says
//! of every token how well an answer begins and ends there. A long text is read in windows that overlap.

use super::{Arguments, Outcome, Step, Task};
use crate::error::{Error, Result};
use crate::reader::Reader;
use crate::sample::softmax;
use crate::text::WordPiece;
use serde_json::{Value, json};
use std::ops::Range;

/// The arguments of the pipeline, by its names.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerOptions {
    /// So many answers, best first.
    pub top_k: usize,
    /// Tokens that neighbouring windows share; none: 128, or less where windows are small.
    pub doc_stride: Option<usize>,
    /// The most tokens of an answer.
    pub max_answer_len: usize,
    /// The most tokens that are read at once, question and all; none: 384, or the context of the model.
    pub max_seq_len: Option<usize>,
    /// The most tokens of the question.
    pub max_question_len: usize,
    /// Whether "no answer" is one.
    pub handle_impossible_answer: bool,
    /// Whether answers are whole words.
    pub align_to_words: bool,
}

impl Default for AnswerOptions {
    fn default() -> Self {
        Self {
            top_k: 1,
            doc_stride: None,
            max_answer_len: 15,
            max_seq_len: None,
            max_question_len: 64,
            handle_impossible_answer: false,
            align_to_words: true,
        }
    }
}

/// A part of the text that answers the question. The empty one says that none does.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The probability of its first token as the first, times that of its last as the last; of an answer found in several
    /// windows the sum.
    pub score: f64,
    /// Its bytes in the text.
    pub start: usize,
    pub end: usize,
    pub answer: String,
}

/// A question that is being answered.
pub struct Answering {
    question: Vec<u32>,
    context: String,
    words: Vec<WordPiece>,
    /// Of `words`.
    windows: Vec<Range<usize>>,
    next: usize,
    options: AnswerOptions,
    answers: Vec<Answer>,
    /// How likely it is that there is no answer, in the window that finds it least likely.
    null_score: f64,
}

impl Answering {
    /// Looks for the answer to `question` in `context`.
    ///
    /// # Errors
    /// [`Error::WrongTask`] for a model without such a head; [`Error::BadParameter`] for an empty question or text and for
    /// sizes that do not fit; [`Error::ContextFull`] for a question that leaves no room.
    pub fn new(reader: &Reader, question: &str, context: &str, options: AnswerOptions) -> Result<Self> {
        if reader.tasks().first() != Some(&"question-answering") {
            return Err(reader.cannot("question-answering"));
        }
        let bad =
            |name: &str, expected: String, found: String| Error::BadParameter { name: name.into(), expected, found };
        let mut asked = reader.tokenizer.encode(question, false)?;
        let words = reader.tokenizer.encode_words(context)?;
        for (name, empty) in [("question", asked.is_empty()), ("context", words.is_empty())] {
            if empty {
                return Err(bad(name, "a text".into(), "an empty one".into()));
            }
        }
        asked.truncate(options.max_question_len);
        let limit = reader.spec().context_length;
        let length = options.max_seq_len.unwrap_or(limit.min(384));
        if length > limit {
            return Err(bad("max_seq_len", format!("at most the model's context of {limit}"), length.to_string()));
        }
        let taken = reader.tokenizer.tokens_around_pair()? + asked.len();
        let Some(window) = length.checked_sub(taken).filter(|window| *window > 0) else {
            return Err(Error::ContextFull { limit: length, found: taken + 1 });
        };
        let usual = (length / 2).min(128);
        // A long question may leave less than that.
        let stride = options.doc_stride.unwrap_or(if usual < window { usual } else { window / 2 });
        if stride >= window {
            let expected = format!("less than the {window} tokens of the text that are read at once");
            return Err(bad("doc_stride", expected, stride.to_string()));
        }
        let windows = windows(words.len(), window, window - stride);
        let context = context.to_string();
        let (next, answers, null_score) = (0, Vec::new(), f64::INFINITY);
        Ok(Self { question: asked, context, words, windows, next, options, answers, null_score })
    }

    /// From `question`, `context` and what [`AnswerOptions`] has.
    pub(super) fn from_arguments(reader: &Reader, arguments: &Arguments) -> Result<Self> {
        arguments.only(&[
            "question",
            "context",
            "top_k",
            "doc_stride",
            "max_answer_len",
            "max_seq_len",
            "max_question_len",
            "handle_impossible_answer",
            "align_to_words",
        ])?;
        let usual = AnswerOptions::default();
        let options = AnswerOptions {
            top_k: arguments.count("top_k")?.unwrap_or(usual.top_k),
            doc_stride: arguments.number("doc_stride")?,
            max_answer_len: arguments.count("max_answer_len")?.unwrap_or(usual.max_answer_len),
            max_seq_len: arguments.count("max_seq_len")?,
            max_question_len: arguments.count("max_question_len")?.unwrap_or(usual.max_question_len),
            handle_impossible_answer: arguments.truth("handle_impossible_answer")?.unwrap_or(false),
            align_to_words: arguments.truth("align_to_words")?.unwrap_or(true),
        };
        Self::new(reader, arguments.text("question")?, arguments.text("context")?, options)
    }

    fn read(&mut self, reader: &Reader, window: Range<usize>) -> Result<()> {
        let ids: Vec<u32> = self.words[window.clone()].iter().map(|word| word.piece.id).collect();
        let (tokens, second) = reader.join(&self.question, &ids)?;
        let Some(ends) = reader.predictions(&tokens)?.ends()? else {
            return Err(reader.cannot("question-answering"));
        };
        let cls = reader.tokenizer.cls_token_id();
        let inside = |at: usize| at >= second && at < second + ids.len();
        let allowed = |at: usize| inside(at) || Some(tokens.ids[at]) == cls;
        let [mut starts, mut ends] = {
            let [starts, ends] = ends.map(|mut logits| {
                logits.iter_mut().enumerate().filter(|(at, _)| !allowed(*at)).for_each(|(_, logit)| *logit = -10000.0);
                softmax(&logits)
            });
            [starts?, ends?]
        };
        // The token before everything stands for "no answer".
        self.null_score = self.null_score.min(f64::from(starts[0] * ends[0]));
        (starts[0], ends[0]) = (0.0, 0.0);
        let AnswerOptions { top_k, max_answer_len, align_to_words, .. } = self.options;
        // Several tokens may make the same words.
        let wanted = if align_to_words { top_k.saturating_mul(2).saturating_add(10) } else { top_k };
        for (start, end, score) in best_spans(&starts, &ends, max_answer_len, wanted) {
            if !inside(start) || !inside(end) {
                continue;
            }
            let place = self.place(&window, window.start + start - second, window.start + end - second);
            self.add(place, f64::from(score));
        }
        Ok(())
    }

    /// The bytes of the text from one of its tokens to another, as whole words where that is wanted.
    fn place(&self, window: &Range<usize>, start: usize, end: usize) -> Range<usize> {
        let words = &self.words[window.clone()];
        let (first, last) = (self.words[start], self.words[end]);
        let aligned = first.word.zip(last.word).filter(|_| self.options.align_to_words);
        let aligned = aligned.and_then(|(first, last)| {
            let from = words.iter().find(|word| word.word == Some(first))?;
            let to = words.iter().rfind(|word| word.word == Some(last))?;
            Some(from.piece.start..to.piece.end)
        });
        aligned.unwrap_or(first.piece.start..last.piece.end)
    }

    /// Takes an answer in, or its score where it has been found already.
    fn add(&mut self, Range { start, end }: Range<usize>, score: f64) {
        let answer = self.context.get(start..end).unwrap_or_default().to_string();
        let lower = answer.to_lowercase();
        match self.answers.iter_mut().find(|known| known.answer.to_lowercase() == lower) {
            Some(known) => known.score += score,
            None => self.answers.push(Answer { score, start, end, answer }),
        }
    }

    fn finish(&mut self) -> Vec<Answer> {
        let mut answers = std::mem::take(&mut self.answers);
        if self.options.handle_impossible_answer || answers.is_empty() {
            answers.push(Answer { score: self.null_score, start: 0, end: 0, answer: String::new() });
        }
        answers.sort_by(|a, b| b.score.total_cmp(&a.score));
        answers.truncate(self.options.top_k);
        answers
    }
}

impl Task for Answering {
    fn step(&mut self, reader: &Reader) -> Result<Step> {
        if let Some(window) = self.windows.get(self.next).cloned() {
            self.read(reader, window)?;
            self.next += 1;
        }
        let (done, total) = (self.next, self.windows.len());
        if done < total {
            return Ok(Step::Going { done, total });
        }
        let single = self.options.top_k == 1;
        Ok(Step::Done(Outcome::Answers { answers: self.finish(), single }))
    }
}

/// Stretches of `window` tokens, each `step` after the one before, until one reaches the end.
fn windows(tokens: usize, window: usize, step: usize) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    for start in (0..tokens).step_by(step.max(1)) {
        let end = start.saturating_add(window).min(tokens);
        all.push(start..end);
        if end == tokens {
            break;
        }
    }
    all
}

/// The `count` likeliest spans of at most `longest` tokens, best first.
fn best_spans(starts: &[f32], ends: &[f32], longest: usize, count: usize) -> Vec<(usize, usize, f32)> {
    let mut best: Vec<(usize, usize, f32)> = Vec::new();
    let order =
        |a: &(usize, usize, f32), b: &(usize, usize, f32)| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1)));
    for (start, p) in starts.iter().enumerate().filter(|(_, p)| **p > 0.0) {
        for (end, q) in ends.iter().enumerate().skip(start).take(longest).filter(|(_, q)| **q > 0.0) {
            best.push((start, end, p * q));
        }
        // Never many more than are wanted.
        if best.len() > count.saturating_mul(4).max(1 << 12) {
            best.sort_unstable_by(order);
            best.truncate(count);
        }
    }
    best.sort_unstable_by(order);
    best.truncate(count);
    best.retain(|(_, _, score)| *score > 0.0);
    best
}

/// As the pipeline gives it; `unit` turns byte offsets into the caller's.
pub(super) fn json(answers: &[Answer], single: bool, unit: &dyn Fn(usize) -> usize) -> Value {
    let one = |answer: &Answer| {
        json!({
            "score": answer.score, "start": unit(answer.start), "end": unit(answer.end), "answer": answer.answer,
        })
    };
    match answers {
        [answer] if single => one(answer),
        _ => answers.iter().map(one).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_overlap_and_end_with_the_text() {
        assert_eq!(windows(10, 4, 3), [0..4, 3..7, 6..10]);
        assert_eq!(windows(11, 4, 3), [0..4, 3..7, 6..10, 9..11]);
        assert_eq!(windows(4, 4, 1), vec![Range { start: 0, end: 4 }]);
        assert_eq!(windows(1, 100, 50), vec![Range { start: 0, end: 1 }]);
    }

    #[test]
    fn spans_go_forward_and_are_not_too_long() {
        let starts = [0.1, 0.6, 0.0, 0.3];
        let ends = [0.5, 0.1, 0.2, 0.2];
        let spans = best_spans(&starts, &ends, 2, 3);
        assert_eq!(spans.iter().map(|span| (span.0, span.1)).collect::<Vec<_>>(), [(1, 2), (1, 1), (3, 3)]);
        assert_eq!(best_spans(&starts, &ends, 9, 100).len(), 8);
    }
}

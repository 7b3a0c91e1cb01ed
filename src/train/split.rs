//! Which part of a corpus is never trained on.

use super::Random;
use super::recipe::HeldOutBy;
use std::collections::HashMap;
use std::ops::Range;

/// Fewer documents than this are cut into blocks first.
const FEWEST: usize = 10;

/// How far from its place a cut may lie, in bytes.
const FURTHEST: usize = 64 << 10;

/// Training and held-out documents, each in the order of the corpus. `share` (0 to 0.5) of the documents are held out,
/// at least one, chosen by the random stream `split` of `seed`; by the first line, it is that share of the different
/// first lines.
///
/// A corpus of fewer than ten documents, such as one pasted text, has too few to choose from. It is cut into equal
/// blocks at the nearest end of a paragraph, else of a line, a sentence, a word; of these some are held out, and what lies
/// together stays together: training text between two held-out blocks is one document.
pub(super) fn split(documents: Vec<String>, share: f64, by: HeldOutBy, seed: u64) -> (Vec<String>, Vec<String>) {
    if documents.len() >= FEWEST {
        let held = match by {
            HeldOutBy::Document => chosen(documents.len(), share, seed),
            HeldOutBy::FirstLine => {
                let (groups, count) = by_first_line(&documents);
                let held = chosen(count, share, seed);
                groups.into_iter().map(|group| held.get(group).copied().unwrap_or_default()).collect()
            }
        };
        let (held_out, training): (Vec<_>, Vec<_>) = documents.into_iter().zip(held).partition(|(_, held)| *held);
        let texts = |documents: Vec<(String, bool)>| documents.into_iter().map(|(text, _)| text).collect();
        return (texts(training), texts(held_out));
    }
    // Two blocks make the share where that is possible, so that not all depends on one place of the text.
    let count = (2.0 / share.max(0.02)).ceil().max(FEWEST as f64);
    let size = (documents.iter().map(String::len).sum::<usize>() as f64 / count).max(1.0);
    let blocks: Vec<Vec<Range<usize>>> = documents.iter().map(|text| blocks(text, size)).collect();
    let mut held = chosen(blocks.iter().map(Vec::len).sum(), share, seed).into_iter();
    let (mut training, mut held_out) = (Vec::new(), Vec::new());
    for (text, blocks) in documents.iter().zip(blocks) {
        let blocks: Vec<(Range<usize>, bool)> = blocks.into_iter().zip(held.by_ref()).collect();
        for run in blocks.chunk_by(|(_, a), (_, b)| a == b) {
            let (Some((first, held)), Some((last, _))) = (run.first(), run.last()) else { continue };
            let text = text.get(first.start..last.end).unwrap_or_default().trim();
            if !text.is_empty() {
                if *held { &mut held_out } else { &mut training }.push(text.to_string());
            }
        }
    }
    (training, held_out)
}

/// For each document the number of its first line, in the order in which these first occur; and how many there are.
fn by_first_line(documents: &[String]) -> (Vec<usize>, usize) {
    let mut numbers = HashMap::new();
    let number = |text| {
        let next = numbers.len();
        *numbers.entry(text).or_insert(next)
    };
    let groups = documents.iter().map(|text| text.lines().next().unwrap_or_default()).map(number).collect();
    (groups, numbers.len())
}

/// For each of `count` things, whether it is held out.
fn chosen(count: usize, share: f64, seed: u64) -> Vec<bool> {
    let held_out = ((count as f64 * share + 0.5).floor() as usize).max(1);
    let mut held = vec![false; count];
    for index in Random::new(seed, "split").permutation(count).into_iter().take(held_out) {
        if let Some(held) = held.get_mut(index) {
            *held = true;
        }
    }
    held
}

/// The text in blocks of about `size` bytes, at least one.
fn blocks(text: &str, size: f64) -> Vec<Range<usize>> {
    let count = (text.len() as f64 / size).round().max(1.0);
    let length = text.len() as f64 / count;
    let reach = ((length / 4.0) as usize).min(FURTHEST);
    let mut start = 0;
    (1..=count as usize)
        .map(|n| {
            let end = if n as f64 == count { text.len() } else { border(text, (n as f64 * length) as usize, reach) };
            std::mem::replace(&mut start, end)..end
        })
        .collect()
}

/// The best place for a cut within `reach` of `at`.
fn border(text: &str, at: usize, reach: usize) -> usize {
    let at = text.floor_char_boundary(at);
    let (from, to) = (at.saturating_sub(reach), (at + reach).min(text.len()));
    let kinds: [fn(&str, &str) -> bool; 4] = [
        |before, _| before.ends_with("\n\n"),
        |before, _| before.ends_with('\n'),
        |before, after| {
            before.ends_with(['。', '！', '？'])
                || before.ends_with(['.', '!', '?']) && after.starts_with(char::is_whitespace)
        },
        |before, _| before.ends_with(char::is_whitespace),
    ];
    let nearest = |is_border: &fn(&str, &str) -> bool| {
        (from..=to)
            .filter(|cut| text.is_char_boundary(*cut))
            .filter(|cut| text.split_at_checked(*cut).is_some_and(|(before, after)| is_border(before, after)))
            .min_by_key(|cut| cut.abs_diff(at))
    };
    kinds.iter().find_map(nearest).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn documents_are_chosen_as_the_python_preparation_does() {
        let documents: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        let (training, held_out) = split(documents, 0.1, HeldOutBy::Document, 1);
        assert_eq!((training.len(), held_out.len()), (45, 5));
        let mut order = Random::new(1, "split").permutation(50);
        order.truncate(5);
        order.sort_unstable();
        assert_eq!(held_out, order.iter().map(usize::to_string).collect::<Vec<_>>());
        // At least one, however small the share.
        assert_eq!(split((0..12).map(|n| n.to_string()).collect(), 0.0, HeldOutBy::Document, 1).1.len(), 1);
    }

    #[test]
    fn by_first_line_no_first_line_is_on_both_sides() {
        // Of 300 first lines every third begins three documents, which are far apart.
        let documents: Vec<String> = (0..3)
            .flat_map(|n| (0..300).filter(move |line| n == 0 || line % 3 == 0).map(move |line| format!("{line}\n{n}")))
            .collect();
        let sides = |by| {
            let (training, held_out) = split(documents.clone(), 0.1, by, 1);
            assert_eq!(training.len() + held_out.len(), documents.len());
            let lines = |documents: Vec<String>| {
                documents.iter().map(|text| text.lines().next().unwrap().to_string()).collect::<HashSet<_>>()
            };
            (lines(training), lines(held_out))
        };
        let (training, held_out) = sides(HeldOutBy::FirstLine);
        assert!(training.is_disjoint(&held_out));
        assert_eq!((training.len(), held_out.len()), (270, 30));
        assert_eq!((training, held_out), sides(HeldOutBy::FirstLine));
        let (training, held_out) = sides(HeldOutBy::Document);
        assert!(!training.is_disjoint(&held_out));
    }

    #[test]
    fn one_text_is_cut_at_its_paragraphs_and_nothing_is_lost() {
        let paragraphs: Vec<String> = (0..100).map(|n| format!("Paragraph {n}. It has\ntwo lines.")).collect();
        let (training, held_out) = split(vec![paragraphs.join("\n\n")], 0.1, HeldOutBy::Document, 7);
        let (held, all) = (held_out.join("\n\n").len() as f64, paragraphs.join("\n\n").len() as f64);
        assert!((0.07..0.13).contains(&(held / all)), "held out {}", held / all);
        assert!(training.len() <= 3, "contiguous: {}", training.len());
        let mut found: Vec<String> =
            training.iter().chain(&held_out).flat_map(|t| t.split("\n\n")).map(str::to_string).collect();
        let number = |p: &String| p.split(['.', ' ']).nth(1).and_then(|n| n.parse::<usize>().ok());
        found.sort_by_key(number);
        assert_eq!(found, paragraphs);
    }

    #[test]
    fn without_paragraphs_sentences_words_and_characters_are_borders() {
        for (text, ends) in [
            ("他走了很远的路。".repeat(60), Some('。')),
            ("He walked 3.5 miles. ".repeat(60).trim().to_string(), Some('.')),
            ("word ".repeat(200).trim().to_string(), Some('d')),
            ("你".repeat(500), None),
        ] {
            let (training, held_out) = split(vec![text.clone()], 0.2, HeldOutBy::Document, 3);
            let parts: Vec<&String> = training.iter().chain(&held_out).collect();
            assert!(parts.iter().all(|part| ends.is_none_or(|end| part.ends_with(end))), "{parts:?}");
            let count = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
            assert_eq!(parts.iter().map(|part| count(part)).sum::<usize>(), count(&text));
        }
    }
}

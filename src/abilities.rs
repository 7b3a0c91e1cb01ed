//! What a writer can be used for, by its own files: tasks by the names of transformers' pipelines, and languages. A model
//! with a chat template can chat as well.

use crate::engine::Engine;

/// Languages as the model's files name them; empty where they do not.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Languages {
    /// Those it reads.
    pub source: Vec<String>,
    /// Those it writes.
    pub target: Vec<String>,
    /// Whether the one to write is asked for by a token before the source, `>>fra<<`.
    pub tagged: bool,
}

impl Engine {
    /// What the model can be used for, the likeliest first.
    pub fn tasks(&self) -> Vec<&'static str> {
        const ANY: &str = "text2text-generation";
        let Some(encoder) = self.encoder() else {
            let chat = self.chat().map(|_| "chat");
            return ["text-generation"].into_iter().chain(chat).collect();
        };
        let named = |task: &str| encoder.tasks.iter().any(|(name, _)| name.starts_with(task));
        let also: Vec<_> = ["translation", "summarization"].into_iter().filter(|task| named(task)).collect();
        match self.spec().architecture {
            "marian" => vec!["translation"],
            // mT5 was trained for no task; one that was trained on for some says so, and does only these.
            "mt5" if !also.is_empty() => also,
            // BART likewise, which is often trained on without saying what for.
            "bart" => also.into_iter().chain([ANY]).collect(),
            _ => [ANY].into_iter().chain(also).collect(),
        }
    }

    /// The languages of a model that translates.
    pub fn languages(&self) -> Languages {
        let mut languages = self.tokenizer().languages();
        for (name, _) in self.encoder().map_or(&[][..], |encoder| &encoder.tasks) {
            let pair = name.strip_prefix("translation_").and_then(|pair| pair.split_once("_to_"));
            let Some((from, to)) = pair else { continue };
            for (list, name) in [(&mut languages.source, from), (&mut languages.target, to)] {
                if !list.iter().any(|known| known == name) {
                    list.push(name.to_string());
                }
            }
        }
        languages
    }
}

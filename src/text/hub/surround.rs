//! What a tokenizer.json's post-processor puts around a text, and around and between two.

use crate::Result;
use crate::text::pair::{PairSlot, Part};
use crate::text::{Slot, bad, unsupported};
use serde_json::Value;

/// How much may be put around a text; templates in a sequence multiply.
const LONGEST: usize = 1024;

/// What stands around.
pub(super) struct Around {
    pub single: Vec<Slot>,
    /// Empty when the post-processor's way with two texts is not understood.
    pub pair: Vec<PairSlot>,
    /// Whether spaces at the ends of tokens are not part of them.
    pub trims: bool,
}

/// Without a post-processor two texts stand one after the other.
const SIDE_BY_SIDE: [PairSlot; 2] = [PairSlot { part: Part::First, kind: 0 }, PairSlot { part: Part::Second, kind: 1 }];

impl Default for Around {
    fn default() -> Self {
        Self { single: vec![Slot::Text], pair: SIDE_BY_SIDE.to_vec(), trims: false }
    }
}

impl Around {
    /// Puts around what is there what a post-processor puts around a text.
    pub fn add(&mut self, processor: &Value) -> Result<()> {
        let trims = || processor.get("trim_offsets").and_then(Value::as_bool).unwrap_or(true);
        match processor.get("type").and_then(Value::as_str) {
            Some("ByteLevel") => {
                self.trims |= trims();
                Ok(())
            }
            Some("Sequence") => {
                let steps = processor.get("processors").and_then(Value::as_array);
                steps.into_iter().flatten().try_for_each(|step| self.add(step))
            }
            Some(kind @ ("BertProcessing" | "RobertaProcessing")) => {
                let token = |name: &str| id(processor.get(name).and_then(|pair| pair.get(1)));
                let (cls, sep) = (token("cls")?, token("sep")?);
                self.single.insert(0, Slot::Token(cls));
                self.single.push(Slot::Token(sep));
                let is_roberta = kind == "RobertaProcessing";
                self.trims |= is_roberta && trims();
                // Only BERT tells the two apart by token types.
                let kind = u32::from(!is_roberta);
                let mut pair = vec![(Part::Token(cls), 0), (Part::First, 0), (Part::Token(sep), 0)];
                pair.extend(is_roberta.then_some((Part::Token(sep), 0)));
                pair.extend([(Part::Second, kind), (Part::Token(sep), kind)]);
                self.put_pair(pair.into_iter().map(|(part, kind)| PairSlot { part, kind }).collect());
                Ok(())
            }
            Some("TemplateProcessing") => self.add_template(processor),
            other => Err(unsupported(
                "the tokenizer's post-processor",
                "TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing or a Sequence",
                other.unwrap_or("no type"),
            )),
        }
    }

    fn add_template(&mut self, processor: &Value) -> Result<()> {
        let pieces = |name: &str| processor.get(name).and_then(Value::as_array);
        let mut single = Vec::new();
        for piece in pieces("single").ok_or_else(|| bad("a template for a single text", "none"))? {
            match special(processor, piece)? {
                None => single.append(&mut self.single.clone()),
                Some(ids) => single.extend(ids.into_iter().map(Slot::Token)),
            }
            if single.len() > LONGEST {
                return Err(bad(&format!("a template of at most {LONGEST} places"), "a longer one"));
            }
        }
        self.single = single;
        let mut pair = Vec::new();
        for piece in pieces("pair").into_iter().flatten() {
            let (kind, parts) = match special(processor, piece)? {
                Some(ids) => (piece.get("SpecialToken"), ids.into_iter().map(Part::Token).collect()),
                None => {
                    let sequence = piece.get("Sequence");
                    let second = sequence.and_then(|sequence| sequence.get("id")).and_then(Value::as_str) == Some("B");
                    (sequence, vec![if second { Part::Second } else { Part::First }])
                }
            };
            let kind = kind.and_then(|piece| piece.get("type_id")).and_then(Value::as_u64).unwrap_or(0);
            pair.extend(parts.into_iter().map(|part| PairSlot { part, kind: kind.min(u64::from(u32::MAX)) as u32 }));
            if pair.len() > LONGEST {
                return Err(bad(&format!("a template of at most {LONGEST} places"), "a longer one"));
            }
        }
        self.put_pair(pair);
        Ok(())
    }

    /// Two templates for pairs, one around the other, are nothing that any tokenizer has.
    fn put_pair(&mut self, pair: Vec<PairSlot>) {
        let once = |part: Part| pair.iter().filter(|slot| slot.part == part).count() == 1;
        let usable = self.pair == SIDE_BY_SIDE && once(Part::First) && once(Part::Second);
        self.pair = if usable { pair } else { Vec::new() };
    }
}

/// The ids of a special token of a template; none for a piece that is a text.
fn special(processor: &Value, piece: &Value) -> Result<Option<Vec<u32>>> {
    let Some(name) = piece.get("SpecialToken").and_then(|token| token.get("id")).and_then(Value::as_str) else {
        return Ok(None);
    };
    let ids = processor.get("special_tokens").and_then(|tokens| tokens.get(name)).and_then(|token| token.get("ids"));
    let ids = ids.and_then(Value::as_array);
    let ids = ids.ok_or_else(|| bad(&format!("ids of {name:?} in the post-processor"), "none"))?;
    ids.iter().map(|value| id(Some(value))).collect::<Result<_>>().map(Some)
}

fn id(value: Option<&Value>) -> Result<u32> {
    let id = value.and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| bad("the id of a special token in the post-processor", "none"))
}

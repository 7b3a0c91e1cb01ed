//! One flag for each generation parameter of the engine's table: `--max-new-tokens 20`, `--do-sample`,
//! `--bad-words-ids '[[5],[7,8]]'`.

use anyhow::Result;
use clap::{Arg, ArgMatches, Command, Error, FromArgMatches};
use inkling::sample::{GenerationConfig, Kind, PARAMETERS};
use serde_json::Value;

/// The parameters given, as text.
#[derive(Clone, Default)]
pub struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    /// The model's own parameters with those given put over them.
    pub fn over(&self, defaults: &GenerationConfig) -> Result<GenerationConfig> {
        let mut config = defaults.clone();
        for (name, text) in &self.0 {
            config.set(name, &value(name, text))?;
        }
        Ok(config)
    }
}

/// Numbers, lists and true or false are read as JSON, a comma-separated list of ids too; anything else is text.
fn value(name: &str, text: &str) -> Value {
    let kind = PARAMETERS.iter().find(|p| p.name == name).map(|p| p.kind);
    let list = text.starts_with('[');
    let json = match kind {
        Some(Kind::Strings) if !list => return text.into(),
        Some(Kind::Ids) if !list => serde_json::from_str(&format!("[{text}]")),
        _ => serde_json::from_str(text),
    };
    json.unwrap_or_else(|_| text.into())
}

impl clap::Args for Parameters {
    fn augment_args(command: Command) -> Command {
        PARAMETERS.iter().fold(command, |command, parameter| {
            let arg = Arg::new(parameter.name)
                .long(parameter.name.replace('_', "-"))
                .alias(parameter.name)
                .value_name(format!("{:?}", parameter.kind).to_uppercase())
                .allow_negative_numbers(true)
                .help_heading("Generation parameters, as in transformers' GenerationConfig");
            command.arg(match parameter.kind {
                Kind::Bool => arg.num_args(0..=1).default_missing_value("true"),
                _ => arg,
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Parameters {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |name| matches.get_one::<String>(name).map(|text| (name, text.clone()));
        Ok(Self(PARAMETERS.iter().filter_map(|p| given(p.name)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

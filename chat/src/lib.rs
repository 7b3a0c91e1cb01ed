//! Chat templates of Hugging Face models, rendered as `apply_chat_template` of transformers does: Jinja with the methods
//! of Python that templates use. A template comes with a model, from anyone, so it gets no files, no network, and a
//! bounded share of time, memory and stack.
//!
//! A module of its own, because few visitors chat and the engine is downloaded by all.

mod context;
mod date;
mod environment;
mod error;
mod json;
mod namespace;
mod python;
mod tags;

pub use error::Error;

/// The longest template, in bytes. The longest in use are a third of it.
pub const LONGEST_TEMPLATE: usize = 64 << 10;
/// The longest messages and other variables, as JSON, in bytes.
pub const LONGEST_CONTEXT: usize = 8 << 20;
/// The longest text a template may write, in bytes.
pub const LONGEST_OUTPUT: usize = 16 << 20;

/// The text a model reads for a conversation.
///
/// `context` is a JSON object with `messages` (a list of objects with `role` and `content`), and what else the template
/// may ask for: `tools`, `documents`, `add_generation_prompt`, `continue_final_message`, `bos_token` and its kin,
/// `enable_thinking`. `now` is what the clock on the wall says, in seconds since it said 1970-01-01 00:00, for
/// templates that write the date.
///
/// # Errors
/// [`Error::BadContext`] for what is not such an object; [`Error::Template`] for a fault of the template, with its line;
/// [`Error::Raised`] when the template itself turns the conversation down; [`Error::TooLarge`] and [`Error::TooLong`] for
/// one that wants more than its share.
pub fn render(template: &str, context: &str, now: i64) -> Result<String, Error> {
    error::bounded("the template", template.len(), LONGEST_TEMPLATE)?;
    error::bounded("the messages", context.len(), LONGEST_CONTEXT)?;
    in_bounds(template, context, now)
}

/// In a page the stack is what it is: what a template nests too deep is a trap, and the module that trapped must not be
/// used again. The page lets it work in a worker that it ends when it takes too long.
#[cfg(target_arch = "wasm32")]
fn in_bounds(template: &str, context: &str, now: i64) -> Result<String, Error> {
    context::render(template, context, now)
}

/// Renders where there is stack enough for what can be nested in the longest template, and waits so long: comparing two
/// values costs no fuel. What is too late is left behind.
#[cfg(not(target_arch = "wasm32"))]
fn in_bounds(template: &str, context: &str, now: i64) -> Result<String, Error> {
    const STACK: usize = 64 << 20;
    const TIME: std::time::Duration = std::time::Duration::from_secs(3);
    let (template, context) = (template.to_string(), context.to_string());
    let (send, receive) = std::sync::mpsc::channel();
    let work = move || drop(send.send(context::render(&template, &context, now)));
    let thread = std::thread::Builder::new().name("chat template".into()).stack_size(STACK).spawn(work);
    match thread {
        Ok(_) => receive.recv_timeout(TIME).unwrap_or(Err(Error::TooLong { line: None })),
        Err(error) => Err(Error::Template { line: None, message: format!("no thread to render it in: {error}") }),
    }
}

#[cfg(target_arch = "wasm32")]
mod web {
    use wasm_bindgen::prelude::*;

    /// [`render`](super::render) for the page. Throws an `Error` with a `code`.
    #[wasm_bindgen(js_name = renderChat)]
    pub fn render(template: &str, context: &str, now: f64) -> Result<String, JsValue> {
        super::render(template, context, now as i64).map_err(|error| {
            let thrown = js_sys::Error::new(&error.to_string());
            // Setting a property of a fresh object does not fail.
            let _ = js_sys::Reflect::set(&thrown, &"code".into(), &error.code().into());
            thrown.into()
        })
    }
}

//! What stands between a figure and its goal: what profiles showed and what was tried. Said only where a goal is missed.

/// By the name of the aim in `goals`. Read from profiles on two cores of an AMD EPYC, in Chromium 156.
pub const LIMITS: [(&str, &str); 12] = [
    (
        "Q8_0 decode, 64+64, of native llama.cpp",
        "Profiles of both on a machine with AVX-512 VNNI: products take 70 % of a token here and 67 % there, attention 9 \
         and 8 %, threads that wait about as much. llama.cpp's products are 1.3 times as quick: one instruction for 64 \
         products of bytes, where WebAssembly widens 8 bytes, multiplies and adds. Activations have 16 bits here and 8 \
         there; in two halves of 7 bits, which a browser may give to such an instruction, they were not quicker. Without \
         AVX-512 VNNI the ratio was 0.97.",
    ),
    (
        "SmolLM2 shape",
        "A profile showed products at 58 % and threads that waited for one another to get memory at 8 %: results of a part \
         are kept on the stack now, and products take 71 %. Attention takes 9 %, a thread that waits for the other 8 %.",
    ),
    (
        "F16 decode",
        "Products take 89 % of a token. WebAssembly knows no f16: turning one into f32 by a shift, a mask and a product \
         holds a thread to 17 GB/s, where a native build reads at memory's pace. The ratio was 3.08 while this machine's \
         memory was 14 % quicker (41.8 GB/s).",
    ),
    (
        "Q8_0 prefill",
        "Two thirds of the time goes to products, at 27 billion multiply-adds a second and thread (34 to 36 since, with two \
         groups of rows multiplied at once). WebAssembly's widest exact instruction makes 8 of them and needs an addition \
         after it. Activations in 8 bits, as the peer has them, would be quicker and less exact; in two halves of 7 bits \
         they are not quicker. Attention takes 11 %, unpacking weights 8 %, which eight groups of rows at a time already share.",
    ),
    (
        "Q4",
        "Arithmetic, not memory: unpacking takes a mask and a product for each 8 weights. Nibbles are multiplied where \
         they stand in their words, which gave 15 to 20 %.",
    ),
    (
        "Q8_0 beside a busy core, of one thread there",
        "A token waits for whichever thread was interrupted last. Threads take rows as they become free and sleep after a \
         short spin; what is left differs from round to round.",
    ),
    (
        "Q8_0 peak memory of the page, MB",
        "A page with nothing in it holds about 120 MB by this measure, 95 of them the browser's own program, and the file \
         is 136 MB; a model's bytes lie in memory once. Keys and values of the longest text come next: in 8 bits they \
         take 35 MB less than in f32.",
    ),
    (
        "Q8_0 load from a local server, ms",
        "The browser hands the file over at 300 to 390 MB/s, which takes 350 to 450 ms, and compiles the engine beside it \
         (160 to 200 ms). Laying out the last weights and building the tokenizer take 140 ms, starting workers up to 90.",
    ),
    (
        "stories: peak memory of the page, MB",
        "A page with nothing in it holds about 120 MB by this measure. One visit reaches 245: 127 are the browser's own \
         files, 13 the engine's memory, the rest its code, the page and the workers. The visits before it are in the same \
         process and not all cleared away when the next begins.",
    ),
    (
        "T5-small shape encode, 512 tokens",
        "Four runs of one day gave 0.91, 1.04, 1.06 and 1.09: all that is measured was a fifth slower in the first, when \
         others used the machine's memory. The peer's activations have 8 bits, here 16.",
    ),
    (
        "MiniLM shape peak memory of the page, MB",
        "A page with nothing in it holds about 120 MB by this measure, 93 of them the browser's own program, which the peer's \
         page has as well. The engine's memory is 42 MB, 24 of them the weights, 7 a vocabulary of 30,522 words, 5 what a \
         text of 512 tokens needs at once; its code and the workers take 40. With Chromium 148 the ratio was 0.48. A \
         feed-forward block in slices of rows would need less and take longer.",
    ),
    (
        "runtime to download",
        "A quarter is our own code, a quarter regular expressions and tokenizers with their tables of Unicode, the rest \
         mostly candle with the gradients of all its operations, and formats. wasm-opt saves less than 1 %.",
    ),
];

/// What is known about an aim, with the name it is known under.
pub fn of(what: &str) -> Option<(&'static str, &'static str)> {
    LIMITS.into_iter().find(|(name, _)| what.starts_with(name))
}

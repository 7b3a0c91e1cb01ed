//! The builds of the engine: which one a host's page gets, and that all of them write the same.
use inkling::Engine;
use inkling::files::Files;
use serde_json::json;

use crate::common;
use crate::driver::Page;
use crate::hosts::{Host, dist};

/// Tokens that all agree on.
const TOKENS: usize = 256;

/// Every build, with one thread and several, gives the ids of the native engine: not nearly so, since each product is
/// summed in one order everywhere.
#[tokio::test]
async fn every_build_writes_what_the_native_engine_writes() {
    let Some(dist) = dist() else { return };
    let host = Host::isolated(&dist).await;
    let page = Page::ready(&host.address("/")).await;
    let script = "
        const [model, prompt, tokens] = arguments;
        const [{ load }, { ARTIFACTS }] = await Promise.all([import('/inkling.js'), import('/artifacts.js')]);
        const all = [...ARTIFACTS];
        const found = [];
        for (const [name, threads] of [['threads', 2], ['threads', 3], ['threads-simd128', 2], ['relaxed', 1], ['simd128', 1]]) {
            ARTIFACTS.splice(0, ARTIFACTS.length, ...all.filter((one) => one.name === name));
            const loaded = await load({ url: new URL(model, location.href).href }, { threads });
            const ids = [];
            const config = { max_new_tokens: tokens, do_sample: false, eos_token_id: [] };
            for await (const e of loaded.generate(prompt, config)) if (e.type === 'token') ids.push(e.id);
            found.push([loaded.info.artifact, loaded.info.threads, ids]);
            await loaded.dispose();
        }
        ARTIFACTS.splice(0, ARTIFACTS.length, ...all);
        return found;";
    for (model, prompt, tokens) in
        [("stories", "Once upon a time", TOKENS), ("poems", "明月", 100), ("translator", "I am happy.", 100)]
    {
        let folder = dist.join("models").join(model);
        let mut engine = Engine::open(Files::open(&folder).unwrap()).unwrap();
        let ids = engine.encode_prompt(prompt).unwrap();
        let config = json!({ "max_new_tokens": tokens, "do_sample": false, "eos_token_id": [] });
        let native = common::generate(&mut engine, &ids, &config).unwrap().remove(0).ids;
        let file = json!(format!("models/{model}/model.gguf"));
        let found = page.eval(script, vec![file, json!(prompt), json!(tokens)]).await;
        let wanted =
            [("threads", 2), ("threads", cores().clamp(2, 3)), ("threads-simd128", 2), ("relaxed", 1), ("simd128", 1)];
        for ((name, threads), found) in wanted.into_iter().zip(found.as_array().unwrap()) {
            assert_eq!((&found[0], &found[1]), (&json!(name), &json!(threads)), "{model}");
            assert_eq!(found[2], json!(native), "{model} by {name}, {threads} threads");
        }
    }
    page.finish().await;
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}

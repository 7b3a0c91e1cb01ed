//! `cargo xtask serve`: builds the site, then serves `dist/` on this machine.
use anyhow::{Context, Result};

use crate::{build, server};

#[derive(clap::Args)]
pub struct Args {
    /// The port to listen on
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The address to listen on; 0.0.0.0 for the whole network
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Without the COOP and COEP headers, as a plain file host serves it
    #[arg(long)]
    plain: bool,
}

pub fn run(args: Args) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("starting the server")?;
    runtime.block_on(async {
        // Before the build, so that a taken port is said at once.
        let listener = server::listen(&args.host, args.port).await?;
        let dist = build::site(&build::Args::default())?;
        let address = listener.local_addr().context("asking for the server's own address")?;
        match address.ip().is_unspecified() {
            true => {
                println!("Serving at http://127.0.0.1:{0}/ and at this machine's addresses, port {0}", address.port())
            }
            false => println!("Serving at http://{address}/"),
        }
        println!("Ctrl-C ends it.");
        server::serve(listener, server::site(&dist, !args.plain)).await
    })
}

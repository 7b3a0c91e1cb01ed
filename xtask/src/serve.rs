//! `cargo xtask serve`: builds the site, then serves `dist/` on this machine.
use anyhow::{Context, Result};
use qrcode::render::unicode::Dense1x2;

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
            true => invite(address.port()),
            false => println!("Serving at http://{address}/"),
        }
        println!("Ctrl-C ends it.");
        server::serve(listener, server::site(&dist, !args.plain)).await
    })
}

/// Says where others on the network find the page, for a class to point its cameras at.
fn invite(port: u16) {
    println!("Serving at http://127.0.0.1:{port}/");
    let addresses = server::lan_addresses();
    for address in &addresses {
        println!("On this network: http://{address}:{port}/");
    }
    match addresses.first().map(|address| qr_code(&format!("http://{address}:{port}/"))) {
        Some(code) => println!("\n{code}"),
        None => println!("This machine has no address on a network now."),
    }
}

/// A QR code of blocks, right on a dark terminal; on a light one it is inverted, which cameras read as well.
fn qr_code(text: &str) -> String {
    match qrcode::QrCode::new(text) {
        Ok(code) => code.render().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build(),
        Err(error) => format!("(no QR code: {error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn() {
        let code = qr_code("http://192.168.1.20:8080/");
        let lines: Vec<&str> = code.lines().collect();
        assert!(
            lines.len() > 10 && lines.iter().all(|line| line.chars().count() == lines[0].chars().count()),
            "{code}"
        );
    }
}

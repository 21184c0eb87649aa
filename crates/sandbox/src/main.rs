//! `instagram-sandbox`: serves the stand-in for Instagram until it is told to stop.

use std::io::{self, Write};

use anyhow::Context;
use clap::Parser;
use ig_sandbox::{Flags, Sandbox, Settings, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::resolve(Flags::parse(), |name| std::env::var_os(name))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let listen = &settings.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}: free it, or set SANDBOX_LISTEN"))?;
    let (interrupt, terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    announce(&format!("sandbox listening on http://{}", listener.local_addr()?))?;
    serve(listener, Sandbox::new(settings), either(interrupt, terminate)).await?;
    Ok(())
}

/// Waits for the first of two signals.
async fn either(mut one: Signal, mut other: Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

/// Writes a line to standard output at once: whoever started the sandbox waits for it.
fn announce(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

//! `cargo xtask db`: a throwaway PostgreSQL.

use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::{io, thread};

use anyhow::{Context, Result};

use crate::postgres::{self, Postgres};
use crate::{console, process};

/// What `cargo xtask db` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Play outages: take the words stop, start, pause and resume from standard input, one a line, answer each
    /// with done, and end with it
    #[arg(long)]
    obey: bool,
}

/// Prints the URL of the server that `TEST_DATABASE_URL` names, or starts one, prints its URL, and serves until
/// Ctrl-C; then its data is gone. One that obeys is always its own.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let variable = postgres::VARIABLE;
    if arguments.obey {
        let postgres = Postgres::throwaway()?;
        console::say(postgres.url());
        return obey(postgres);
    }
    let postgres = Postgres::obtain()?;
    console::say(postgres.url());
    if postgres.is_given() {
        console::note(format_args!("{variable} names this server already; none was started"));
        return Ok(());
    }
    console::note(format_args!(
        "tests use it with {variable} set to this URL; Ctrl-C stops it and removes its data"
    ));
    while !process::stop_asked() {
        process::pause();
    }
    Ok(())
}

/// Carries out what standard input says, until it ends or a stop is asked.
fn obey(mut postgres: Postgres) -> Result<()> {
    let words = words();
    while !process::stop_asked() {
        match words.try_recv() {
            Ok(word) => {
                postgres.obey(word.context("standard input cannot be read")?.trim().parse()?)?;
                console::say("done");
            }
            Err(TryRecvError::Empty) => process::pause(),
            Err(TryRecvError::Disconnected) => break,
        }
    }
    Ok(())
}

/// The lines of standard input, read aside so that waiting for one does not keep a stop waiting.
fn words() -> Receiver<io::Result<String>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || io::stdin().lines().try_for_each(|line| sender.send(line)));
    receiver
}

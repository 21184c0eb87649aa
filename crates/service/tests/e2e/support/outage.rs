//! A PostgreSQL of a test's own, which goes away and comes back when told: `cargo xtask db --obey`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::tool;

/// A running server. Dropping it stops it and removes its data.
pub(crate) struct FickleServer {
    pub(crate) url: String,
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl FickleServer {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(tool("XTASK_BIN"));
        command.args(["db", "--obey"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let orders = process.stdin.take();
        let mut server = Self { url: String::new(), process, orders, answers };
        server.url = server.answer();
        assert!(server.url.starts_with("postgres://"), "{:?}", server.url);
        server
    }

    /// Has an order carried out: `stop`, `start`, `pause` or `resume`.
    pub(crate) fn obey(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        assert_eq!(self.answer(), "done", "{order}");
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for FickleServer {
    fn drop(&mut self) {
        // The end of its input is what ends it.
        drop(self.orders.take());
        self.process.wait().ok();
    }
}

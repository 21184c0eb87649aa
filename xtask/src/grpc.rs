//! `cargo xtask grpc`: one call to the running service, through grpcurl.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process;
use crate::tools::Tools;
use crate::workspace::Workspace;

/// Address of the service unless told otherwise.
pub(crate) const ADDRESS: &str = "127.0.0.1:50051";

/// The service whose name a method may leave out.
pub(crate) const SERVICE: &str = "instagram.accounts.v1.InstagramAccountService";

/// Timeout of a call that nobody watches, in seconds.
const CALL_TIMEOUT_SECONDS: &str = "60";

/// What `cargo xtask grpc` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The method: `Get`, or in full `grpc.health.v1.Health/Check`
    method: String,
    /// The request as JSON
    #[arg(default_value = "{}")]
    request: String,
    /// Where the service listens
    #[arg(long, default_value = ADDRESS)]
    address: SocketAddr,
}

/// Calls the method and prints the answer.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let client = Client::new(Tools::of(workspace).grpcurl()?, arguments.address);
    process::run(&mut client.command(&arguments.method, &arguments.request))
}

/// grpcurl, pointed at a server.
pub(crate) struct Client {
    program: PathBuf,
    address: SocketAddr,
    /// `-H` and the header that says who calls; empty where nobody needs to be known.
    caller: Vec<String>,
}

impl Client {
    /// grpcurl at `program` for the server at `address`.
    pub(crate) fn new(program: PathBuf, address: SocketAddr) -> Self {
        Self { program, address, caller: Vec::new() }
    }

    /// The same as the caller that has `token`.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.caller = vec!["-H".to_owned(), format!("authorization: Bearer {token}")];
        self
    }

    /// The folder of grpcurl, where its name alone does not find it.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.program.parent().filter(|folder| !folder.as_os_str().is_empty())
    }

    /// The call as a command.
    pub(crate) fn command(&self, method: &str, request: &str) -> Command {
        self.with_flags(&["-d", request], &[&full(method)])
    }

    /// The same program for another server.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { program: self.program.clone(), address, caller: self.caller.clone() }
    }

    /// Command that lists the services.
    pub(crate) fn list(&self) -> Command {
        self.with_flags(&[], &["list"])
    }

    /// Command that describes a symbol.
    pub(crate) fn describe(&self, symbol: &str) -> Command {
        self.with_flags(&[], &["describe", symbol])
    }

    /// Makes the call and reads the answer.
    pub(crate) fn call(&self, method: &str, request: &Value) -> Result<Value> {
        let flags = ["-max-time", CALL_TIMEOUT_SECONDS, "-d", &request.to_string()];
        let mut command = self.with_flags(&flags, &[&full(method)]);
        let output = command.stdin(Stdio::null()).output().context("cannot start grpcurl")?;
        let trouble = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{method} was refused:\n{}", trouble.trim_end());
        serde_json::from_slice(&output.stdout).with_context(|| format!("{method} answered no JSON"))
    }

    /// grpcurl takes flags only before the address.
    fn with_flags(&self, flags: &[&str], rest: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("-plaintext")
            .args(&self.caller)
            .args(flags)
            .arg(self.address.to_string())
            .args(rest);
        command
    }
}

/// The method with its service's name.
fn full(method: &str) -> String {
    if method.contains('/') { method.to_owned() } else { format!("{SERVICE}/{method}") }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::ours("Get", "instagram.accounts.v1.InstagramAccountService/Get")]
    #[case::in_full("grpc.health.v1.Health/Check", "grpc.health.v1.Health/Check")]
    fn a_method_of_ours_needs_no_service(#[case] method: &str, #[case] expected: &str) {
        assert_eq!(full(method), expected);
    }

    #[test]
    fn a_call_reads_as_one_would_type_it() {
        let client = Client::new("grpcurl".into(), "127.0.0.1:50051".parse().unwrap());
        assert_eq!(
            process::command_line(&client.command("Get", r#"{"username":"it's"}"#)),
            r#"grpcurl -plaintext -d "{\"username\":\"it's\"}" 127.0.0.1:50051 instagram.accounts.v1.InstagramAccountService/Get"#,
        );
    }
}

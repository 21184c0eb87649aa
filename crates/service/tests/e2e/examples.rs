//! The callers in `examples/`, each language's as its users run it.

mod minute;
mod publish;
mod rules;

use std::path::Path;
use std::process::Command;

use crate::support::process::Process;
use crate::support::{eventually, tool};

/// Program of an example.
#[derive(Clone, Copy, Debug)]
enum Program {
    Publish,
    Watch,
}

/// Language of an example.
#[derive(Clone, Copy, Debug)]
enum Example {
    Go,
    Python,
    TypeScript,
    Java,
}

impl Example {
    /// Command of this program, as a caller of the service at this address.
    fn command(self, program: Program, address: &str) -> Command {
        let class = format!("{program:?}");
        let program = class.to_lowercase();
        let built = tool("EXAMPLES");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let mut command = match self {
            Self::Go => Command::new(built.join("go").join(program)),
            Self::Python => {
                let mut python = Command::new(built.join("python/bin/python"));
                python.arg(sources.join(format!("python/{program}.py")));
                python.env("PYTHONPATH", sources.join("python/stubs"));
                python
            }
            Self::TypeScript => {
                let mut node = Command::new("node");
                node.arg(sources.join(format!("typescript/dist/{program}.js")));
                node
            }
            Self::Java => {
                let mut java = Command::new("java");
                java.current_dir(sources.join("java/target"));
                // It starts in half the time.
                java.arg("-XX:TieredStopAtLevel=1");
                java.args(["-classpath", "classes:lib/*", &format!("example.{class}")]);
                java
            }
        };
        let (host, _) = address.split_once(':').expect("a host and a port");
        command.env("ACCOUNTS_ADDRESS", address).env("NO_PROXY", host).env("no_proxy", host);
        command
    }
}

/// A running `watch`.
struct Watch {
    example: Example,
    process: Process,
}

impl Watch {
    /// Starts it as a consumer of its language's name.
    fn start(example: Example, address: &str) -> Self {
        let mut command = example.command(Program::Watch, address);
        command.arg(format!("{example:?}").to_lowercase());
        Self { example, process: Process::start(command) }
    }

    /// Accounts and events that it has printed so far, beside what it says to people.
    fn told(&self) -> Vec<String> {
        let is_kind = |word: &str| !word.contains(|letter: char| letter.is_ascii_lowercase());
        let is_told = |line: &&str| {
            let words: Vec<_> = line.split(' ').collect();
            matches!(words[..], [kind, _, _, _] if is_kind(kind))
        };
        self.process.printed().lines().filter(is_told).map(str::to_owned).collect()
    }

    /// Waits until it has printed a line that begins so.
    async fn tells(&self, begin: &str) {
        let what = format!("{:?} tells {begin}", self.example);
        let has_told = || self.told().iter().any(|line| line.starts_with(begin));
        eventually(&what, async || has_told().then_some(())).await;
    }
}

//! The PostgreSQL that tests use: the one that is given, or a throwaway one of our own.

mod container;
mod server;

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use self::container::Container;
use self::server::Server;
use crate::console::Step;
use crate::process;
use crate::tools::{ContainerEngine, PostgresPrograms};

/// The variable by which tests are told their server.
pub(crate) const VARIABLE: &str = "TEST_DATABASE_URL";

/// Nothing here has to survive a power cut.
const SETTINGS: [&str; 3] = ["max_connections=300", "fsync=off", "full_page_writes=off"];

/// Order to a throwaway server, so that tests see what its loss does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// End in order, and keep the data.
    Stop,
    /// Serve again.
    Start,
    /// Stand still, with all connections open.
    Pause,
    /// Go on.
    Resume,
}

impl FromStr for Order {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        let all = [Self::Stop, Self::Start, Self::Pause, Self::Resume];
        let known = all.into_iter().find(|order| order.to_string() == word);
        known.with_context(|| format!("{word:?} is none of stop, start, pause, resume"))
    }
}

impl fmt::Display for Order {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
        })
    }
}

/// A server that tests may use.
pub(crate) struct Postgres {
    url: String,
    throwaway: Option<Throwaway>,
}

/// A server of our own. Dropping it stops it and removes its data.
enum Throwaway {
    Server(Server),
    Container(Container),
}

impl Postgres {
    /// The one that `TEST_DATABASE_URL` names, else a throwaway one.
    pub(crate) fn obtain() -> Result<Self> {
        let Some(url) = std::env::var_os(VARIABLE).filter(|url| !url.is_empty()) else {
            return Self::throwaway();
        };
        let url = url.into_string().ok().with_context(|| format!("{VARIABLE} is not UTF-8"))?;
        Ok(Self { url, throwaway: None })
    }

    /// A new server, whose data goes with it: by PostgreSQL's own programs, else in a container, else by Debian's
    /// package, which is installed for it.
    pub(crate) fn throwaway() -> Result<Self> {
        let programs = PostgresPrograms::find();
        let engine = if programs.is_none() { ContainerEngine::find() } else { None };
        let (port, throwaway) = match (programs, engine) {
            (None, Some(engine)) => {
                let step = Step::begin(format!("starting a throwaway PostgreSQL by {engine}"));
                let container = Container::start(engine)?;
                step.done();
                (container.port(), Throwaway::Container(container))
            }
            (programs, _) => {
                let programs = programs.map_or_else(PostgresPrograms::install, Ok)?;
                let step = Step::begin("starting a throwaway PostgreSQL");
                let server = Server::start(&programs)?;
                step.done();
                (server.port(), Throwaway::Server(server))
            }
        };
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        Ok(Self { url, throwaway: Some(throwaway) })
    }

    /// URL of the server. May hold a password.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The process that has started the server's, where that is ours and in no container.
    pub(crate) fn process(&self) -> Option<u32> {
        match &self.throwaway {
            Some(Throwaway::Server(server)) => Some(server.process()),
            Some(Throwaway::Container(_)) | None => None,
        }
    }

    /// Whether the server was there before, and stays.
    pub(crate) fn is_given(&self) -> bool {
        self.throwaway.is_none()
    }

    /// Carries an order out.
    pub(crate) fn obey(&mut self, order: Order) -> Result<()> {
        match &mut self.throwaway {
            Some(Throwaway::Server(server)) => server.obey(order),
            Some(Throwaway::Container(container)) => container.obey(order),
            None => bail!("the server that {VARIABLE} names is not ours to {order}"),
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(process::free_address()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_known_by_their_words() {
        for word in ["stop", "start", "pause", "resume"] {
            assert_eq!(word.parse::<Order>().unwrap().to_string(), word);
        }
        let error = "halt".parse::<Order>().unwrap_err().to_string();
        assert_eq!(error, "\"halt\" is none of stop, start, pause, resume");
    }
}

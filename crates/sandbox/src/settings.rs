//! The sandbox's settings: a flag, else a variable, else a default.

use std::ffi::OsString;

use clap::Parser;
use thiserror::Error;

/// Maximum number of digits of an app id.
const MAX_APP_ID_LENGTH: usize = 32;

/// Maximum number of characters of an app secret.
const MAX_APP_SECRET_LENGTH: usize = 128;

const LISTEN: &str = "127.0.0.1:8090";
/// Text that stands for a seed where none is given.
const NO_SEED: &str = "always the same ids, other codes and tokens at each start";
const APP_ID: &str = "990000000000017";
const APP_SECRET: &str = "5a4db0c0ffee5a4db0c0ffee5a4db0c0";
const LINK_OWNER: &str = "demo";
const GRPC_ADDRESS: &str = "127.0.0.1:50051";

/// A stand-in for Instagram: consent, tokens and profiles without a Meta app. Everything lives in memory.
#[derive(Default, Parser)]
#[command(name = "instagram-sandbox", version)]
pub struct Flags {
    #[arg(long = "sandbox-listen", value_name = "HOST:PORT")]
    #[arg(help = help("Address to listen on; port 0 takes a free one", "SANDBOX_LISTEN", LISTEN))]
    listen: Option<String>,
    #[arg(long = "sandbox-seed", value_name = "NUMBER")]
    #[arg(help = help("Number from which ids, codes and tokens follow", "SANDBOX_SEED", NO_SEED))]
    seed: Option<String>,
    #[arg(long = "sandbox-app-id", value_name = "ID")]
    #[arg(help = help("Id of the one app that the sandbox knows", "SANDBOX_APP_ID", APP_ID))]
    app_id: Option<String>,
    #[arg(long = "sandbox-app-secret", value_name = "SECRET")]
    #[arg(help = help("Secret of that app", "SANDBOX_APP_SECRET", APP_SECRET))]
    app_secret: Option<String>,
    #[arg(long = "sandbox-link-owner", value_name = "OWNER")]
    #[arg(help = help("Owner in the line that /redirect shows", "SANDBOX_LINK_OWNER", LINK_OWNER))]
    link_owner: Option<String>,
    #[arg(long = "sandbox-grpc-address", value_name = "HOST:PORT")]
    #[arg(help = help("gRPC address in that line", "SANDBOX_GRPC_ADDRESS", GRPC_ADDRESS))]
    grpc_address: Option<String>,
}

/// A flag's help, with the variable that stands for it and the default.
fn help(text: &str, variable: &str, default: &str) -> String {
    format!("{text} [variable: {variable}] [default: {default}]")
}

/// Checked settings.
#[derive(Clone)]
pub struct Settings {
    /// Address to listen on: host and port.
    pub listen: String,
    /// `None` for other codes and tokens at each start.
    pub(crate) seed: Option<u64>,
    pub(crate) app_id: String,
    pub(crate) app_secret: String,
    pub(crate) link_owner: String,
    pub(crate) grpc_address: String,
}

/// A setting that cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{variable} {problem}, for example {example}")]
pub struct InvalidSetting {
    variable: &'static str,
    problem: String,
    example: String,
}

impl Settings {
    /// Takes each setting from its flag, else from its variable, else its default.
    ///
    /// # Errors
    ///
    /// [`InvalidSetting`] names the variable, what is wrong with it, and what would do.
    pub fn resolve(
        flags: Flags,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, InvalidSetting> {
        let given = |name: &'static str, flag: Option<String>, example: &str| {
            let given = flag.map(OsString::from).or_else(|| variable(name));
            let text = given.map(OsString::into_string).transpose();
            text.map_err(|_| invalid(name, "is not UTF-8", example))
        };
        let text = |name, flag, default: &str| {
            given(name, flag, default).map(|text| text.unwrap_or_else(|| default.to_owned()))
        };
        let seed = given("SANDBOX_SEED", flags.seed, "1")?.map(|seed| seed.parse());
        let settings = Self {
            listen: text("SANDBOX_LISTEN", flags.listen, LISTEN)?,
            seed: seed
                .transpose()
                .map_err(|_| invalid("SANDBOX_SEED", "is no number of 64 bits", "1"))?,
            app_id: text("SANDBOX_APP_ID", flags.app_id, APP_ID)?,
            app_secret: text("SANDBOX_APP_SECRET", flags.app_secret, APP_SECRET)?,
            link_owner: text("SANDBOX_LINK_OWNER", flags.link_owner, LINK_OWNER)?,
            grpc_address: text("SANDBOX_GRPC_ADDRESS", flags.grpc_address, GRPC_ADDRESS)?,
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let graphic = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !(1..=MAX_APP_ID_LENGTH).contains(&self.app_id.len()) || !digits(&self.app_id) {
            let problem = format!("is not 1 to {MAX_APP_ID_LENGTH} digits");
            return Err(invalid("SANDBOX_APP_ID", problem, APP_ID));
        }
        let fits = (1..=MAX_APP_SECRET_LENGTH).contains(&self.app_secret.len());
        if !fits || !graphic(&self.app_secret) {
            let problem = format!("is not 1 to {MAX_APP_SECRET_LENGTH} visible ASCII characters");
            return Err(invalid("SANDBOX_APP_SECRET", problem, APP_SECRET));
        }
        if self.grpc_address.is_empty() || !graphic(&self.grpc_address) {
            return Err(invalid("SANDBOX_GRPC_ADDRESS", "is no host and port", GRPC_ADDRESS));
        }
        Ok(())
    }
}

fn invalid(variable: &'static str, problem: impl Into<String>, example: &str) -> InvalidSetting {
    InvalidSetting { variable, problem: problem.into(), example: format!("{variable}={example}") }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use rstest::rstest;

    use super::*;

    fn resolve(flags: &[&str], variables: &[(&str, &str)]) -> Result<Settings, InvalidSetting> {
        let flags = Flags::parse_from(["instagram-sandbox"].iter().chain(flags));
        Settings::resolve(flags, |name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn a_flag_wins_over_a_variable_and_both_over_the_default() {
        let variables = [("SANDBOX_SEED", "7"), ("SANDBOX_LINK_OWNER", "shop")];
        let settings = resolve(&["--sandbox-seed", "9"], &variables).unwrap();
        assert_eq!((settings.seed, settings.link_owner.as_str()), (Some(9), "shop"));
        assert_eq!(settings.listen, LISTEN);
    }

    #[rstest]
    #[case::seed("SANDBOX_SEED", "one", "SANDBOX_SEED=1")]
    #[case::app_id("SANDBOX_APP_ID", "abc", "SANDBOX_APP_ID=990000000000017")]
    #[case::app_secret("SANDBOX_APP_SECRET", "a b", "SANDBOX_APP_SECRET=")]
    #[case::grpc_address("SANDBOX_GRPC_ADDRESS", "", "SANDBOX_GRPC_ADDRESS=127.0.0.1:50051")]
    fn a_bad_value_is_named_with_an_example(
        #[case] variable: &str,
        #[case] value: &str,
        #[case] example: &str,
    ) {
        let text = resolve(&[], &[(variable, value)]).err().unwrap().to_string();
        assert!(text.starts_with(variable) && text.contains(example), "{text}");
    }

    #[test]
    fn the_help_names_every_variable_and_its_default() {
        // However wide the terminal is.
        let help = Flags::command().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for (variable, default) in [
            ("SANDBOX_LISTEN", LISTEN),
            ("SANDBOX_SEED", NO_SEED),
            ("SANDBOX_APP_ID", APP_ID),
            ("SANDBOX_APP_SECRET", APP_SECRET),
            ("SANDBOX_LINK_OWNER", LINK_OWNER),
            ("SANDBOX_GRPC_ADDRESS", GRPC_ADDRESS),
        ] {
            assert!(help.contains(&format!("[variable: {variable}] [default: {default}]")));
        }
    }
}

//! The settings of `import`.

use ig_adapters::instagram::GraphApiSettings;
use ig_adapters::persistence::DatabaseSettings;
use ig_adapters::sealing::KeyRing;
use ig_domain::KeepingPlan;

use super::reader::Reader;
use super::serve::{check_sandbox_clock, instagram, keeping_plan};
use super::{Config, database, parse, setting};

/// Settings of `import`.
pub(crate) struct ImportConfig {
    /// The Meta app that asks, and the addresses of Instagram.
    pub(crate) instagram: GraphApiSettings,
    /// The database.
    pub(crate) database: DatabaseSettings,
    /// The keys that seal tokens; `None` for a key file beside the database.
    pub(crate) token_keys: Option<KeyRing>,
    /// Maximum number of lines under way at the same time.
    pub(crate) in_flight: usize,
    /// Work of the keeper beside renewals, by which each account is scheduled.
    pub(crate) plan: KeepingPlan,
    /// URL of the sandbox's clock, which gives business time; `None` for the machine's clock.
    pub(crate) sandbox_clock_url: Option<String>,
}

impl Config for ImportConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let instagram = instagram(reader);
        let sandbox_clock_url = reader.optional(&setting::SANDBOX_CLOCK_URL, parse::clock_url);
        let database = database(reader);
        let token_keys = reader.optional(&setting::TOKEN_KEYS, parse::key_ring);
        let in_flight = reader.value(&setting::KEEPER_IN_FLIGHT, parse::keeper_in_flight);
        let plan = keeping_plan(reader);
        let (instagram, _) = instagram?;
        let sandbox_clock_url = sandbox_clock_url?;
        check_sandbox_clock(reader, sandbox_clock_url.as_deref(), &instagram);
        Some(Self {
            instagram,
            database: database?,
            token_keys: token_keys?,
            in_flight: in_flight?,
            plan: plan?,
            sandbox_clock_url,
        })
    }
}

//! The settings of `serve`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ig_adapters::instagram::{BaseUrl, GraphApiSettings, ProxyUrl};
use ig_adapters::persistence::DatabaseSettings;
use ig_adapters::sealing::KeyRing;
use ig_application::{HostedConsent, LinkSettings};
use ig_domain::{KeepingPlan, PublicUrl};
use secrecy::SecretString;

use super::reader::Reader;
use super::{
    Config, callers_file, database, event_window, listen, parse, profile_every, setting, tls,
};
use crate::callbacks::CallbackAddress;
use crate::tls::TlsFiles;

/// Settings of `serve`.
pub(crate) struct ServeConfig {
    /// The Meta app that speaks, and the addresses of Instagram.
    pub(crate) instagram: GraphApiSettings,
    /// The app secrets whose signatures are accepted, at least one; the first is the app's.
    pub(crate) app_secrets: Vec<SecretString>,
    /// The database.
    pub(crate) database: DatabaseSettings,
    /// The keys that seal tokens; `None` for a key file beside the database.
    pub(crate) token_keys: Option<KeyRing>,
    /// Whether the start migrates a database that other processes share.
    pub(crate) migrate_on_start: bool,
    /// Address on which the server listens.
    pub(crate) listen: SocketAddr,
    /// File of the callers; `None` admits everybody.
    pub(crate) callers_file: Option<PathBuf>,
    /// The files of TLS; `None` for none.
    pub(crate) tls: Option<TlsFiles>,
    /// Address at which probes and collectors are answered; `None` for nowhere.
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Where Instagram's calls back are answered; `None` for nowhere.
    pub(crate) callbacks: Option<CallbackAddress>,
    /// Token by which Meta's check of the webhooks' address is known.
    pub(crate) verify_token: Option<SecretString>,
    /// Rules of the links that begin.
    pub(crate) links: LinkSettings,
    /// Maximum time that a stop waits for what is under way.
    pub(crate) shutdown_timeout: Duration,
    /// Whether reflection is served.
    pub(crate) reflection: bool,
    /// Memory for accounts that are read often, in bytes; 0 for none.
    pub(crate) read_cache: u64,
    /// Whether accounts are visited when they are due.
    pub(crate) keeper: bool,
    /// Maximum number of visits at the same time.
    pub(crate) keeper_in_flight: usize,
    /// Work of the keeper beside renewals.
    pub(crate) plan: KeepingPlan,
    /// Time for which events are kept.
    pub(crate) event_window: Duration,
    /// Time for which entries of the audit are kept.
    pub(crate) audit_window: Duration,
    /// URL of the sandbox's clock, which gives business time; `None` for the machine's clock.
    pub(crate) sandbox_clock_url: Option<String>,
}

impl Config for ServeConfig {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let instagram = instagram(reader);
        let sandbox_clock_url = reader.optional(&setting::SANDBOX_CLOCK_URL, parse::clock_url);
        let database = database(reader);
        let token_keys = reader.optional(&setting::TOKEN_KEYS, parse::key_ring);
        let migrate_on_start = reader.value(&setting::MIGRATE_ON_START, parse::boolean);
        let listen = listen(reader);
        let callers_file = callers_file(reader);
        let allow_anonymous = reader.value(&setting::ALLOW_ANONYMOUS, parse::boolean);
        let tls = tls::files(reader);
        let metrics_listen = reader.value(&setting::METRICS_LISTEN, parse::address_or_none);
        let public_url = reader.optional(&setting::PUBLIC_URL, parse::public_url);
        let callbacks = callbacks(reader, public_url.clone());
        let links = links(reader, public_url);
        let verify_token = reader.optional(&setting::WEBHOOK_VERIFY_TOKEN, parse::verify_token);
        let shutdown_timeout = reader
            .value(&setting::SHUTDOWN_TIMEOUT, |raw| parse::span(raw, &setting::SHUTDOWN_TIMEOUT));
        let keeper = reader.value(&setting::KEEPER, parse::boolean);
        let keeper_in_flight = reader.value(&setting::KEEPER_IN_FLIGHT, parse::keeper_in_flight);
        let plan = keeping_plan(reader);
        let event_window = event_window(reader);
        let audit_window =
            reader.value(&setting::AUDIT_WINDOW, |raw| parse::span(raw, &setting::AUDIT_WINDOW));
        let reflection = reader.value(&setting::REFLECTION, parse::boolean);
        let read_cache = reader.value(&setting::READ_CACHE, parse::read_cache);
        let (instagram, app_secrets) = instagram?;
        let config = Self {
            instagram,
            app_secrets,
            database: database?,
            token_keys: token_keys?,
            migrate_on_start: migrate_on_start?,
            listen: listen?,
            callers_file: callers_file?,
            tls: tls?,
            metrics_listen: metrics_listen?,
            callbacks: callbacks?,
            verify_token: verify_token?,
            links: links?,
            shutdown_timeout: shutdown_timeout?,
            reflection: reflection?,
            read_cache: read_cache?,
            keeper: keeper?,
            keeper_in_flight: keeper_in_flight?,
            plan: plan?,
            event_window: event_window?,
            audit_window: audit_window?,
            sandbox_clock_url: sandbox_clock_url?,
        };
        config.check(reader, allow_anonymous?);
        Some(config)
    }
}

impl ServeConfig {
    /// Refuses what does not go together.
    fn check(&self, reader: &mut Reader<'_>, allow_anonymous: bool) {
        check_sandbox_clock(reader, self.sandbox_clock_url.as_deref(), &self.instagram);
        if self.metrics_listen.is_some_and(|metrics| overlap(metrics, self.listen)) {
            reader
                .refuse(&setting::METRICS_LISTEN, "is where GRPC_LISTEN is: give it another port");
        }
        self.check_callbacks(reader);
        if self.callers_file.is_none() && !self.listen.ip().is_loopback() && !allow_anonymous {
            let problem = "is required where GRPC_LISTEN is not loopback, or ALLOW_ANONYMOUS=true to let \
                           everybody who reaches it do everything";
            reader.refuse(&setting::CALLERS_FILE, problem);
        }
    }

    fn check_callbacks(&self, reader: &mut Reader<'_>) {
        let Some(&CallbackAddress { listen, .. }) = self.callbacks.as_ref() else { return };
        if overlap(listen, self.listen) {
            reader.refuse(&setting::HTTP_LISTEN, "is where GRPC_LISTEN is: give it another port");
        }
        if self.metrics_listen.is_some_and(|metrics| overlap(listen, metrics)) {
            reader
                .refuse(&setting::HTTP_LISTEN, "is where METRICS_LISTEN is: give it another port");
        }
    }
}

/// Address of Instagram's calls back, which has to be reached by a public URL.
#[expect(clippy::option_option, reason = "the outer says whether it is right")]
fn callbacks(
    reader: &mut Reader<'_>,
    public_url: Option<Option<PublicUrl>>,
) -> Option<Option<CallbackAddress>> {
    let listen = reader.optional(&setting::HTTP_LISTEN, parse::address);
    match (listen?, public_url?) {
        (None, _) => Some(None),
        (Some(listen), Some(public_url)) => Some(Some(CallbackAddress { listen, public_url })),
        (Some(_), None) => {
            let problem = "is required with HTTP_LISTEN: by it browsers and Meta get there";
            reader.refuse(&setting::PUBLIC_URL, problem);
            None
        }
    }
}

/// Rules of links. Consent is hosted wherever there is a public URL: another replica may answer there.
#[expect(clippy::option_option, reason = "the outer says whether it is right")]
fn links(reader: &mut Reader<'_>, public_url: Option<Option<PublicUrl>>) -> Option<LinkSettings> {
    let redirect_uris = reader.optional(&setting::REDIRECT_URIS, parse::redirect_uris);
    let return_urls = reader.optional(&setting::RETURN_URLS, parse::return_urls);
    let state_ttl = reader.value(&setting::STATE_TTL, |raw| parse::span(raw, &setting::STATE_TTL));
    let return_urls = return_urls?.unwrap_or_default();
    let hosted = public_url?
        .map(|url| HostedConsent { redirect_uri: url.oauth_callback().clone(), return_urls });
    Some(LinkSettings {
        redirect_uris: redirect_uris?.unwrap_or_default(),
        hosted,
        state_ttl: state_ttl?,
    })
}

/// Work of the keeper beside renewals. Every process that stores accounts needs the same.
pub(super) fn keeping_plan(reader: &mut Reader<'_>) -> Option<KeepingPlan> {
    let reading_interval = profile_every(reader);
    let webhook_fields = reader.optional(&setting::WEBHOOK_FIELDS, parse::webhook_fields);
    let webhook_fields = webhook_fields?.unwrap_or_default();
    Some(KeepingPlan { reading_interval: reading_interval?, webhook_fields })
}

/// Refuses the sandbox's clock beside an Instagram that is not the sandbox.
pub(super) fn check_sandbox_clock(
    reader: &mut Reader<'_>,
    sandbox_clock_url: Option<&str>,
    instagram: &GraphApiSettings,
) {
    if sandbox_clock_url.is_some() && !is_sandbox(instagram) {
        let problem = "is refused unless every Instagram URL is plain http, as the sandbox's are";
        reader.refuse(&setting::SANDBOX_CLOCK_URL, problem);
    }
}

/// Settings of Instagram, with all secrets of the app.
pub(super) fn instagram(reader: &mut Reader<'_>) -> Option<(GraphApiSettings, Vec<SecretString>)> {
    let app_id = reader.value(&setting::APP_ID, parse::app_id);
    let app_secrets = app_secrets(reader);
    let insecure = reader.value(&setting::INSECURE_HTTP, parse::boolean);
    let mut url =
        |setting| reader.value(setting, |raw| BaseUrl::parse(raw, insecure.unwrap_or_default()));
    let authorize_url = url(&setting::AUTHORIZE_URL);
    let api_url = url(&setting::API_URL);
    let graph_url = url(&setting::GRAPH_URL);
    let proxy = reader.optional(&setting::PROXY_URL, ProxyUrl::parse);
    let app_secrets = app_secrets?;
    let settings = GraphApiSettings {
        app_id: app_id?,
        app_secret: app_secrets.first()?.clone(),
        authorize_url: authorize_url?,
        api_url: api_url?,
        graph_url: graph_url?,
        proxy: proxy?,
    };
    Some((settings, app_secrets))
}

/// Whether nobody can listen on both: one is the other, or every address of its family. Version 6 has both.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |one: IpAddr, other: IpAddr| {
        one == other || one.is_unspecified() && (one.is_ipv6() || other.is_ipv4())
    };
    let (one_ip, other_ip) = (one.ip(), other.ip());
    // Port 0 takes a free one each time.
    let same_port = one.port() == other.port() && one.port() != 0;
    same_port && (covers(one_ip, other_ip) || covers(other_ip, one_ip))
}

/// Instagram itself is https only.
fn is_sandbox(instagram: &GraphApiSettings) -> bool {
    let GraphApiSettings { authorize_url, api_url, graph_url, .. } = instagram;
    [authorize_url, api_url, graph_url].into_iter().all(BaseUrl::is_plain_http)
}

/// The app secrets, with a warning where one does not look like one.
fn app_secrets(reader: &mut Reader<'_>) -> Option<Vec<SecretString>> {
    let mut unusual = None;
    let secrets = reader.value(&setting::APP_SECRET, |raw| {
        let secrets = parse::app_secrets(raw)?;
        unusual = parse::unusual_app_secret(raw);
        Ok::<_, String>(secrets)
    });
    if let Some(position) = unusual {
        let text = format_args!(
            "has an item {position} that is not {} hexadecimal digits, as Instagram's app secrets are: \
             check that it was copied whole",
            parse::APP_SECRET_DIGITS
        );
        reader.warn(&setting::APP_SECRET, text);
    }
    secrets
}

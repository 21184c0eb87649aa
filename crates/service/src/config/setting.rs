//! What can be set: one table, from which the flags, their help and the texts of errors come.

/// A setting: an environment variable, and a flag of the same name.
pub(crate) struct Setting {
    /// The environment variable.
    pub(crate) name: &'static str,
    /// What it is for, in one line.
    pub(super) meaning: &'static str,
    /// What stands where it is not given.
    pub(super) default: Default,
    /// A value that would do.
    pub(super) example: &'static str,
    /// Whether its value must not be shown. Such a setting may also be given as a file.
    pub(super) secret: bool,
    /// Whether an empty value is one, too, and not as good as none.
    pub(super) may_be_empty: bool,
}

/// What stands where a setting is not given.
pub(super) enum Default {
    /// Nothing: it must be given.
    Required,
    /// No value, which means this.
    Unset(&'static str),
    /// This value.
    Value(&'static str),
}

impl Setting {
    const fn new(name: &'static str, meaning: &'static str, default: Default) -> Self {
        let example = match default {
            Default::Value(value) => value,
            Default::Required | Default::Unset(_) => "",
        };
        Self { name, meaning, default, example, secret: false, may_be_empty: false }
    }

    const fn like(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn or_empty(self) -> Self {
        Self { may_be_empty: true, ..self }
    }

    /// The flag: `STATE_TTL` is `--state-ttl`.
    pub(super) fn flag(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "-")
    }

    /// The variable that names a file with the value.
    pub(super) fn file_name(&self) -> String {
        format!("{}_FILE", self.name)
    }

    /// The flag that names a file with the value.
    pub(super) fn file_flag(&self) -> String {
        format!("{}-file", self.flag())
    }
}

pub(super) static APP_ID: Setting =
    Setting::new("INSTAGRAM_APP_ID", "The Instagram app id, not Facebook's", Default::Required)
        .like("1234567890123456");

pub(super) static APP_SECRET: Setting = Setting::new(
    "INSTAGRAM_APP_SECRET",
    "The Instagram app secret, not Facebook's; of a comma-separated list the first is used",
    Default::Required,
)
.like("0123456789abcdef0123456789abcdef")
.secret();

pub(super) static AUTHORIZE_URL: Setting = Setting::new(
    "INSTAGRAM_AUTHORIZE_URL",
    "The page that people consent on",
    Default::Value("https://www.instagram.com/oauth/authorize"),
);

pub(super) static API_URL: Setting = Setting::new(
    "INSTAGRAM_API_URL",
    "Where codes are exchanged",
    Default::Value("https://api.instagram.com"),
);

pub(super) static GRAPH_URL: Setting = Setting::new(
    "INSTAGRAM_GRAPH_URL",
    "Where everything else is asked; a version may follow, as in https://graph.instagram.com/v25.0",
    Default::Value("https://graph.instagram.com"),
);

pub(super) static INSECURE_HTTP: Setting = Setting::new(
    "INSTAGRAM_INSECURE_HTTP",
    "Lets the three URLs above be plain http to any host, not to loopback only",
    Default::Value("false"),
);

pub(super) static DATABASE_URL: Setting = Setting::new(
    "DATABASE_URL",
    "The SQLite or PostgreSQL database",
    Default::Value("sqlite://instagram-accounts.db?mode=rwc"),
)
.secret();

pub(super) static DATABASE_PASSWORD: Setting = Setting::new(
    "DATABASE_PASSWORD",
    "The password for a PostgreSQL DATABASE_URL that holds none, as it is",
    Default::Unset("none but the URL's"),
)
.like("correct-horse/battery#staple")
.secret();

pub(super) static TOKEN_KEYS: Setting = Setting::new(
    "TOKEN_KEYS",
    "Keys that seal tokens, id:base64(32 bytes), comma-separated: the first seals, all open",
    Default::Unset("a key file beside an SQLite database, made at the first start"),
)
.like(r#""k1:$(openssl rand -base64 32)""#)
.secret();

pub(super) static MIGRATE_ON_START: Setting = Setting::new(
    "MIGRATE_ON_START",
    "Whether a PostgreSQL database is brought up to date at the start; SQLite always is",
    Default::Value("false"),
);

pub(super) static GRPC_LISTEN: Setting = Setting::new(
    "GRPC_LISTEN",
    "Address to serve gRPC on; port 0 takes a free one",
    Default::Value("127.0.0.1:50051"),
);

pub(super) static CALLERS_FILE: Setting = Setting::new(
    "CALLERS_FILE",
    "The TOML file of the services that may call, read again when it changes; see `caller add`",
    Default::Unset("everybody may do everything: on loopback only, or with ALLOW_ANONYMOUS"),
)
.like("/etc/instagram-accounts/callers.toml");

pub(super) static ALLOW_ANONYMOUS: Setting = Setting::new(
    "ALLOW_ANONYMOUS",
    "Lets everybody do everything without CALLERS_FILE, though GRPC_LISTEN is not loopback",
    Default::Value("false"),
);

pub(super) static METRICS_LISTEN: Setting = Setting::new(
    "METRICS_LISTEN",
    "Address to answer probes and collectors on, over plain http; port 0 takes a free one, an empty value turns it off",
    Default::Value("127.0.0.1:9090"),
)
.or_empty();

pub(super) static GRPC_TLS_CERT: Setting = Setting::new(
    "GRPC_TLS_CERT",
    "A PEM file with the server's certificate and those that lead to its authority; read again when it changes",
    Default::Unset("no TLS"),
)
.like("/etc/instagram-accounts/tls.crt");

pub(super) static GRPC_TLS_KEY: Setting = Setting::new(
    "GRPC_TLS_KEY",
    "A PEM file with the key of that certificate",
    Default::Unset("no TLS"),
)
.like("/etc/instagram-accounts/tls.key");

pub(super) static GRPC_TLS_CLIENT_CA: Setting = Setting::new(
    "GRPC_TLS_CLIENT_CA",
    "A PEM file with the authorities of clients' certificates, by whose DNS and URI names callers are known",
    Default::Unset("no certificate is asked for"),
)
.like("/etc/instagram-accounts/clients.crt");

pub(super) static REDIRECT_URIS: Setting = Setting::new(
    "REDIRECT_URIS",
    "Redirect URIs that BeginLink accepts, to the letter, comma-separated",
    Default::Unset("any"),
)
.like("https://example.com/instagram/callback");

pub(super) static STATE_TTL: Setting = Setting::new(
    "STATE_TTL",
    "How long a person may take to consent, 1s to 365d",
    Default::Value("15m"),
);

pub(super) static SHUTDOWN_TIMEOUT: Setting = Setting::new(
    "SHUTDOWN_TIMEOUT",
    "How long a stop waits for work under way, 1s to 1h",
    Default::Value("30s"),
);

pub(super) static REFLECTION: Setting = Setting::new(
    "REFLECTION",
    "Whether callers may ask the server for its methods and messages",
    Default::Value("true"),
);

pub(super) static LOG_FORMAT: Setting =
    Setting::new("LOG_FORMAT", "text or json, on standard error", Default::Value("text"));

pub(super) static RUST_LOG: Setting = Setting::new(
    "RUST_LOG",
    "What is logged, as filter directives such as info,ig_application=debug",
    Default::Value("info"),
);

pub(super) static SANDBOX_CLOCK_URL: Setting = Setting::new(
    "SANDBOX_CLOCK_URL",
    "Takes the time from the sandbox; refused unless all Instagram URLs are plain http",
    Default::Unset("the machine's clock"),
)
.like("http://127.0.0.1:8090/sandbox/clock");

/// Every setting, in the order of the help.
pub(super) static ALL: &[&Setting] = &[
    &APP_ID,
    &APP_SECRET,
    &AUTHORIZE_URL,
    &API_URL,
    &GRAPH_URL,
    &INSECURE_HTTP,
    &DATABASE_URL,
    &DATABASE_PASSWORD,
    &TOKEN_KEYS,
    &MIGRATE_ON_START,
    &GRPC_LISTEN,
    &CALLERS_FILE,
    &ALLOW_ANONYMOUS,
    &METRICS_LISTEN,
    &GRPC_TLS_CERT,
    &GRPC_TLS_KEY,
    &GRPC_TLS_CLIENT_CA,
    &REDIRECT_URIS,
    &STATE_TTL,
    &SHUTDOWN_TIMEOUT,
    &REFLECTION,
    &LOG_FORMAT,
    &RUST_LOG,
    &SANDBOX_CLOCK_URL,
];

//! All settings: one table, from which the flags, their help and the texts of errors come.
//!
//! A new setting is a row here and a line in the `read` of each command that needs it.

mod definition;

pub(crate) use self::definition::Setting;
pub(super) use self::definition::{Default, Empty};

/// Declares settings, each below the heading of its group.
macro_rules! settings {
    ($($group:literal { $($name:ident = $setting:expr;)* })*) => {
        $($(pub(crate) static $name: Setting = $setting.below($group);)*)*

        /// Every setting, in the order of the help.
        pub(super) static ALL: &[&Setting] = &[$($(&$name),*),*];
    };
}

settings! {
    "Instagram" {
        APP_ID = Setting::required(
            "INSTAGRAM_APP_ID",
            "DIGITS",
            "The Instagram app id, not Facebook's",
        )
        .example("1234567890123456");

        APP_SECRET = Setting::required(
            "INSTAGRAM_APP_SECRET",
            "SECRET",
            "The Instagram app secret, not Facebook's; in a comma-separated list the first is used, and signatures of all are accepted",
        )
        .example("0123456789abcdef0123456789abcdef")
        .secret();

        AUTHORIZE_URL = Setting::defaulting(
            "INSTAGRAM_AUTHORIZE_URL",
            "URL",
            "The page that people consent on",
            "https://www.instagram.com/oauth/authorize",
        );

        API_URL = Setting::defaulting(
            "INSTAGRAM_API_URL",
            "URL",
            "The server that exchanges codes",
            "https://api.instagram.com",
        );

        GRAPH_URL = Setting::defaulting(
            "INSTAGRAM_GRAPH_URL",
            "URL",
            "The server that answers everything else; a version may follow, as in https://graph.instagram.com/v25.0",
            "https://graph.instagram.com",
        );

        INSECURE_HTTP = Setting::defaulting(
            "INSTAGRAM_INSECURE_HTTP",
            "true|false",
            "Lets the three URLs above be plain http to any host, not to loopback only",
            "false",
        );

        PROXY_URL = Setting::optional(
            "INSTAGRAM_PROXY_URL",
            "URL",
            "An http or https proxy for calls to Instagram; user and password may stand in it, percent-encoded",
            "no proxy; HTTPS_PROXY and its like are not read",
        )
        .example("http://proxy.internal:3128")
        .secret();

        SANDBOX_CLOCK_URL = Setting::optional(
            "SANDBOX_CLOCK_URL",
            "URL",
            "Takes the time from the sandbox; refused unless all Instagram URLs are plain http",
            "the machine's clock",
        )
        .empty(Empty::NotGiven)
        .example("http://127.0.0.1:8090/sandbox/clock");
    }

    "Database and keys" {
        DATABASE_URL = Setting::defaulting(
            "DATABASE_URL",
            "URL",
            "The SQLite or PostgreSQL database, such as postgres://user@host/database",
            "sqlite://instagram-accounts.db?mode=rwc",
        )
        .secret()
        .empty(Empty::Refused);

        DATABASE_PASSWORD = Setting::optional(
            "DATABASE_PASSWORD",
            "SECRET",
            "The password for a PostgreSQL DATABASE_URL that holds none, as it is",
            "none but the URL's",
        )
        .empty(Empty::NotGiven)
        .example("correct-horse/battery#staple")
        .secret();

        TOKEN_KEYS = Setting::optional(
            "TOKEN_KEYS",
            "KEYS",
            "Keys that seal tokens, id:base64(32 bytes), comma-separated: the first seals, all open",
            "a key file beside an SQLite database, made at the first start",
        )
        .example("2026-11:THE_BASE64_OF_32_RANDOM_BYTES")
        .secret();

        MIGRATE_ON_START = Setting::defaulting(
            "MIGRATE_ON_START",
            "true|false",
            "Whether a PostgreSQL database is brought up to date at the start; SQLite always is",
            "false",
        );
    }

    "Server and callers" {
        GRPC_LISTEN = Setting::defaulting(
            "GRPC_LISTEN",
            "IP:PORT",
            "Address to serve gRPC on; port 0 takes a free one",
            "127.0.0.1:50051",
        );

        CALLERS_FILE = Setting::optional(
            "CALLERS_FILE",
            "PATH",
            "The TOML file of the services that may call, read again when it changes; see `caller add`",
            "everybody may do everything: on loopback only, or with ALLOW_ANONYMOUS",
        )
        .example("/etc/instagram-accounts/callers.toml");

        ALLOW_ANONYMOUS = Setting::defaulting(
            "ALLOW_ANONYMOUS",
            "true|false",
            "Lets everybody do everything without CALLERS_FILE, though GRPC_LISTEN is not loopback",
            "false",
        );

        GRPC_TLS_CERT = Setting::optional(
            "GRPC_TLS_CERT",
            "PATH",
            "A PEM file with the server's certificate and those that lead to its authority; read again when it changes",
            "no TLS",
        )
        .example("/etc/instagram-accounts/tls.crt");

        GRPC_TLS_KEY = Setting::optional(
            "GRPC_TLS_KEY",
            "PATH",
            "A PEM file with the key of that certificate",
            "no TLS",
        )
        .example("/etc/instagram-accounts/tls.key");

        GRPC_TLS_CLIENT_CA = Setting::optional(
            "GRPC_TLS_CLIENT_CA",
            "PATH",
            "A PEM file with the authorities of clients' certificates, by whose DNS and URI names callers are known",
            "no certificate is asked for",
        )
        .example("/etc/instagram-accounts/clients.crt");

        REFLECTION = Setting::defaulting(
            "REFLECTION",
            "true|false",
            "Whether callers may ask the server for its methods and messages",
            "true",
        );

        READ_CACHE = Setting::defaulting(
            "READ_CACHE",
            "SIZE",
            "Memory for accounts that are read often, such as 512KiB, 64MiB or 1GiB; 0 is none",
            "64MiB",
        );

        SHUTDOWN_TIMEOUT = Setting::defaulting(
            "SHUTDOWN_TIMEOUT",
            "DURATION",
            "The maximum time that a stop waits for work under way",
            "30s",
        )
        .between("1s", "1h");
    }

    "Linking" {
        REDIRECT_URIS = Setting::optional(
            "REDIRECT_URIS",
            "URLS",
            "Redirect URIs that BeginLink accepts, to the letter, comma-separated",
            "any",
        )
        .example("https://example.com/instagram/callback");

        STATE_TTL = Setting::defaulting(
            "STATE_TTL",
            "DURATION",
            "The time that a person may take to consent",
            "15m",
        )
        .between("1s", "365d");
    }

    "Callbacks" {
        HTTP_LISTEN = Setting::optional(
            "HTTP_LISTEN",
            "IP:PORT",
            "Address to answer Instagram's calls back on, over plain http; requires PUBLIC_URL; port 0 takes a free one",
            "none are answered",
        )
        .empty(Empty::NotGiven)
        .example("127.0.0.1:8080");

        PUBLIC_URL = Setting::optional(
            "PUBLIC_URL",
            "URL",
            "The https URL by which browsers and Meta reach HTTP_LISTEN; a path in it is outside only",
            "none",
        )
        .empty(Empty::NotGiven)
        .example("https://instagram.example.com");

        RETURN_URLS = Setting::optional(
            "RETURN_URLS",
            "URL,…",
            "Pages to which hosted consent may send browsers on, each with those below it",
            "none",
        )
        .empty(Empty::NotGiven)
        .example("https://example.com/instagram");

        WEBHOOK_FIELDS = Setting::optional(
            "WEBHOOK_FIELDS",
            "FIELDS",
            "The webhook fields, comma-separated, that accounts are subscribed to as far as their permissions allow, the same on every replica",
            "none are",
        )
        .empty(Empty::NotGiven)
        .example("comments,messages");

        WEBHOOK_VERIFY_TOKEN = Setting::optional(
            "WEBHOOK_VERIFY_TOKEN",
            "TOKEN",
            "The verify token of the app's webhooks, as in its dashboard: 1 to 256 printable ASCII characters",
            "Meta's check of the webhooks' address is refused",
        )
        .empty(Empty::NotGiven)
        .example("correct-horse-battery-staple")
        .secret();
    }

    "Keeping tokens alive" {
        KEEPER = Setting::defaulting(
            "KEEPER",
            "true|false",
            "Whether this replica renews tokens and reads profiles when they are due",
            "true",
        );

        KEEPER_IN_FLIGHT = Setting::defaulting(
            "KEEPER_IN_FLIGHT",
            "NUMBER",
            "Maximum number of accounts that this replica visits at once, 1 to 256",
            "16",
        );

        PROFILE_EVERY = Setting::defaulting(
            "PROFILE_EVERY",
            "DURATION",
            "Time between two readings of an account's profile, the same on every replica",
            "24h",
        )
        .between("10m", "365d");
    }

    "Events and audit" {
        EVENT_WINDOW = Setting::defaulting(
            "EVENT_WINDOW",
            "DURATION",
            "Time for which events are kept, the same on every replica",
            "14d",
        )
        .between("2d", "365d");

        AUDIT_WINDOW = Setting::defaulting(
            "AUDIT_WINDOW",
            "DURATION",
            "Time for which entries of the audit are kept, the same on every replica",
            "90d",
        )
        .between("1d", "3650d");
    }

    "Probes, numbers and logs" {
        METRICS_LISTEN = Setting::defaulting(
            "METRICS_LISTEN",
            "IP:PORT",
            "Address to answer probes and collectors on, over plain http; port 0 takes a free one, an empty value turns it off",
            "127.0.0.1:9464",
        )
        .empty(Empty::AValue);

        LOG_FORMAT = Setting::defaulting(
            "LOG_FORMAT",
            "text|json",
            "The form of the log's lines; the log goes to standard error",
            "text",
        );

        RUST_LOG = Setting::defaulting(
            "RUST_LOG",
            "FILTER",
            "The lines to log, as a level or filter directives such as info,ig_application=debug",
            "info",
        );
    }
}

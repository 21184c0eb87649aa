//! TLS with the real tools: certificates made by openssl as docs/TLS.md says, callers that are grpcurl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ig_proto::v1::{ListRequest, UnlinkRequest};
use ig_test_support::certificates::{Authority, Issued, Name};
use instagram_accounts_client::{AccountsClient, ClientOptions, Reason, WatchOptions};
use rstest::rstest;

use crate::support::process::Process;
use crate::support::{Sandbox, Service, eventually, tool};

const PAGE: &str = include_str!("../../../../docs/TLS.md");

/// The settings of TLS as docs/TLS.md gives them.
const SETTINGS: [(&str, &str); 3] =
    [("GRPC_TLS_CERT", "tls.crt"), ("GRPC_TLS_KEY", "tls.key"), ("GRPC_TLS_CLIENT_CA", "ca.crt")];

const CA: [&str; 2] = ["-cacert", "ca.crt"];
const PUBLISHER: [&str; 6] =
    ["-cacert", "ca.crt", "-cert", "publisher.crt", "-key", "publisher.key"];

/// Callers that are known by a DNS name and by a URI.
const CALLERS: &str = r#"
[[caller]]
name = "publisher"
roles = ["read"]
owners = ["shop/*"]

[[caller]]
name = "spiffe://shop/admin"
roles = ["admin"]
owners = ["*"]
"#;

const HEALTH: &str = "grpc.health.v1.Health/Check";
const LIST: &str = "instagram.accounts.v1.InstagramAccountService/List";
const UNLINK: &str = "instagram.accounts.v1.InstagramAccountService/Unlink";

/// A service that speaks TLS, from files in a folder of its own.
struct Server {
    _sandbox: Sandbox,
    folder: tempfile::TempDir,
    process: Process,
    address: String,
}

/// Makes the certificates of docs/TLS.md in this folder.
fn make_certificates(folder: &Path) {
    let lines: Vec<_> = PAGE.lines().filter(|line| line.starts_with("openssl req ")).collect();
    assert_eq!(lines.len(), 3, "an authority, the server's certificate and a caller's");
    for line in lines {
        let line = line.replacen("openssl", "\"$OPENSSL\"", 1);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(&line).current_dir(folder).env("OPENSSL", tool("OPENSSL"));
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
    }
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_certificates(folder.path());
        let sandbox = Sandbox::start().await;
        let mut command = Service::command(&sandbox, folder.path());
        fs::write(folder.path().join("callers.toml"), CALLERS).unwrap();
        command.envs(SETTINGS).env("CALLERS_FILE", "callers.toml");
        let process = Process::start(command);
        let port = process.address().await.port();
        let server =
            Self { _sandbox: sandbox, folder, process, address: format!("localhost:{port}") };
        eventually("the store is there", async || server.serves(&CA).then_some(())).await;
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a certificate and its key beside the others.
    fn write(&self, name: &str, issued: &Issued) {
        fs::write(self.path(&format!("{name}.crt")), &issued.pem).unwrap();
        fs::write(self.path(&format!("{name}.key")), &issued.key).unwrap();
    }

    /// Calls a method with these arguments of grpcurl.
    fn call(&self, arguments: &[&str], method: &str) -> Result<String, String> {
        let mut grpcurl = Command::new(tool("GRPCURL"));
        grpcurl.args(["-connect-timeout", "3"]).args(arguments).args([&self.address, method]);
        let output = grpcurl.current_dir(self.folder.path()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Whether health is told, and good.
    fn serves(&self, arguments: &[&str]) -> bool {
        self.call(arguments, HEALTH).is_ok_and(|answer| answer.contains("\"SERVING\""))
    }

    /// Reason for which health is not told.
    fn refusal(&self, arguments: &[&str]) -> String {
        self.call(arguments, HEALTH).unwrap_err()
    }

    fn healthcheck(&self, certificate: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_instagram-accounts"));
        let listen = self.address.replace("localhost", "127.0.0.1");
        command.arg("healthcheck").current_dir(self.folder.path()).env_clear();
        let certificate = certificate.map(|certificate| ("GRPC_TLS_CERT", certificate));
        command.env("GRPC_LISTEN", listen).envs(certificate).output().unwrap()
    }
}

#[tokio::test]
async fn real_tools_speak_tls_and_everything_else_is_turned_away() {
    let server = Server::start().await;
    assert!(server.process.line_with("listening").contains("mutual TLS"));
    assert!(server.serves(&PUBLISHER));
    let stranger = server.refusal(&[]);
    assert!(stranger.contains("unknown authority"), "{stranger}");
    let plain = server.refusal(&["-plaintext"]);
    assert!(!plain.is_empty(), "{plain}");
    assert!(server.serves(&CA), "health needs no certificate");
}

#[tokio::test]
async fn a_caller_is_known_by_a_name_of_its_certificate() {
    let server = Server::start().await;
    server.call(&PUBLISHER, LIST).unwrap();
    let beyond = server.call(&PUBLISHER, UNLINK).unwrap_err();
    assert!(beyond.contains("PERMISSION_DENIED"), "{beyond}");
    let of = |owner: &str| {
        let request = format!("{{\"owner\":\"{owner}\"}}");
        server.call(&[PUBLISHER.as_slice(), &["-d", &request]].concat(), LIST)
    };
    of("shop/7").unwrap();
    let others = of("cafe/1").unwrap_err();
    assert!(others.contains("PERMISSION_DENIED"), "{others}");
    let nobody = server.call(&CA, LIST).unwrap_err();
    assert!(nobody.contains("UNAUTHENTICATED"), "{nobody}");

    fs::copy(server.path("ca.crt"), server.path("servers.crt")).unwrap();
    // Authorities may be added: these clients belong to another one.
    let other = Authority::new();
    server.write("admin", &other.issue(&[Name::Uri("spiffe://shop/admin")]));
    server.write("unknown", &other.issue(&[Name::Dns("admin")]));
    let admin = ["-cacert", "servers.crt", "-cert", "admin.crt", "-key", "admin.key"];
    let foreign = server.call(&admin, LIST).unwrap_err();
    assert!(foreign.contains("UNAUTHENTICATED"), "{foreign}");
    let both = fs::read_to_string(server.path("ca.crt")).unwrap() + other.pem.as_str();
    fs::write(server.path("ca.crt"), both).unwrap();
    server.process.line_with("new connections use them");
    let gone = server.call(&admin, UNLINK).unwrap_err();
    assert!(gone.contains("INVALID_FIELD"), "let in, and told what is missing: {gone}");
    let unknown = ["-cacert", "servers.crt", "-cert", "unknown.crt", "-key", "unknown.key"];
    let unknown = server.call(&unknown, LIST).unwrap_err();
    assert!(unknown.contains("UNAUTHENTICATED"), "{unknown}");
    server.call(&PUBLISHER, LIST).unwrap();
}

#[tokio::test]
async fn the_rust_client_is_known_by_its_certificate() {
    let server = Server::start().await;
    let read = |name| fs::read(server.path(name)).unwrap();
    let options = ClientOptions::new(format!("https://{}", server.address));
    let nobody = options.clone().ca_certificate(read("ca.crt"));
    let publisher = nobody.clone().client_certificate(read("publisher.crt"), read("publisher.key"));
    let client = AccountsClient::connect(publisher).await.unwrap();
    client.list(ListRequest::default()).await.unwrap();
    client.watch(WatchOptions::new()).next().await.unwrap().unwrap();
    let beyond = client.unlink(UnlinkRequest::default()).await.unwrap_err();
    assert_eq!(beyond.reason(), Some(&Reason::PermissionDenied));
    let nobody = AccountsClient::connect(nobody).await.unwrap();
    let refusal = nobody.list(ListRequest::default()).await.unwrap_err();
    assert_eq!(refusal.reason(), Some(&Reason::Unauthenticated));
    let stranger = options.ca_certificate(Authority::new().pem);
    let stranger = AccountsClient::connect_lazy(stranger).unwrap();
    let refusal = stranger.list(ListRequest::default()).await.unwrap_err();
    assert!(refusal.message().contains("certificate"), "{refusal}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_a_foreign_one_names_nobody() {
    let server = Server::start().await;
    let clients = Authority::new();
    server.write("expired", &clients.issue_expired(&[Name::Dns("publisher")]));
    server.write("good", &clients.issue(&[Name::Dns("publisher")]));
    fs::copy(server.path("ca.crt"), server.path("servers.crt")).unwrap();
    fs::write(server.path("ca.crt"), &clients.pem).unwrap();
    server.process.line_with("new connections use them");
    let shown = |certificate, key| ["-cacert", "servers.crt", "-cert", certificate, "-key", key];
    assert!(server.serves(&shown("good.crt", "good.key")));
    server.refusal(&shown("expired.crt", "expired.key"));
    let told = server.process.line_with("a client's certificate is refused");
    assert!(told.contains("WARN") && told.contains("certificate expired"), "{told}");
    // Told of the authorities, grpcurl shows none of another one, and comes as nobody.
    let foreign = shown("publisher.crt", "publisher.key");
    assert!(server.serves(&foreign));
    let nobody = server.call(&foreign, LIST).unwrap_err();
    assert!(nobody.contains("UNAUTHENTICATED"), "{nobody}");
}

#[tokio::test]
async fn healthcheck_asks_over_tls_whatever_the_file_of_the_certificate_holds_by_now() {
    let server = Server::start().await;
    fs::write(server.path("broken.crt"), "planted").unwrap();
    for certificate in ["tls.crt", "publisher.crt", "broken.crt", "gone.crt"] {
        assert_eq!(server.healthcheck(Some(certificate)).status.code(), Some(0), "{certificate}");
    }
    let Output { status, stderr, .. } = server.healthcheck(None);
    let words = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{words}");
    assert!(words.contains("cannot be asked"), "{words}");
}

#[tokio::test]
async fn renewed_files_are_taken_and_broken_ones_told_once() {
    let server = Server::start().await;
    let Server { process, folder, .. } = &server;
    fs::copy(server.path("tls.crt"), server.path("former.crt")).unwrap();
    fs::copy(server.path("ca.crt"), server.path("former-ca.crt")).unwrap();

    fs::write(server.path("tls.crt"), "planted").unwrap();
    let told = process.line_with("cannot be used");
    assert!(
        told.contains("WARN") && told.contains("GRPC_TLS_CERT names tls.crt, which holds no"),
        "{told}"
    );
    assert!(server.serves(&PUBLISHER), "the former certificate is shown still");

    make_certificates(folder.path());
    process.line_with("new connections use them");
    eventually("both files are new", async || server.serves(&PUBLISHER).then_some(())).await;
    assert_eq!(server.healthcheck(Some("tls.crt")).status.code(), Some(0));
    let stranger = server.refusal(&["-cacert", "former-ca.crt"]);
    assert!(stranger.contains("unknown authority"), "{stranger}");
    let log = process.printed();
    assert_eq!(log.matches("cannot be used").count(), 1, "{log}");
    assert!(!log.contains("planted") && !log.contains("PRIVATE"), "{log}");
}

#[rstest]
#[case::missing("GRPC_TLS_CERT", "gone.crt", "names gone.crt, which is not readable (No such file")]
#[case::key_for_certificate(
    "GRPC_TLS_CERT",
    "tls.key",
    "names tls.key, which holds no certificate"
)]
#[case::empty("GRPC_TLS_KEY", "/dev/null", "names /dev/null, which is empty")]
#[case::no_key("GRPC_TLS_KEY", "tls.crt", "names tls.crt, which holds no private key")]
#[case::other_key(
    "GRPC_TLS_KEY",
    "publisher.key",
    "names publisher.key, which holds the private key of another certificate"
)]
#[case::no_authority("GRPC_TLS_CLIENT_CA", "tls.key", "names tls.key, which holds no certificate")]
#[case::nowhere("GRPC_TLS_KEY", "", "is given but empty (variable GRPC_TLS_KEY): leave it out, or")]
#[tokio::test]
async fn files_that_will_not_do_stop_the_start(
    #[case] variable: &str,
    #[case] value: &str,
    #[case] problem: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let sandbox = Sandbox::start().await;
    let mut command = Service::command(&sandbox, folder.path());
    let output = command.envs(SETTINGS).env(variable, value).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains(&format!("error: {variable} {problem}")), "{words}");
    assert!(
        words.contains(&format!(", for example {variable}=/etc/instagram-accounts/")),
        "{words}"
    );
}

//! Callers who are told apart: by tokens that a file knows, which changes while the service runs.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use ig_proto::v1::{ListRequest, ListResponse};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::support::grpcurl::{grpcurl, refused};
use crate::support::process::Process;
use crate::support::{Sandbox, Service, eventually, reason};

const LIST: &str = "instagram.accounts.v1.InstagramAccountService/List";

/// A service whose callers stand in a file.
pub(crate) struct Listed {
    pub(crate) sandbox: Sandbox,
    pub(crate) service: Service,
    pub(crate) file: PathBuf,
    _folder: TempDir,
}

impl Listed {
    /// A service whose file is empty still.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// One with these settings besides.
    async fn start_with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("callers.toml");
        fs::write(&file, "").unwrap();
        let sandbox = Sandbox::start().await;
        let settings = [settings, &[("CALLERS_FILE", file.to_str().unwrap())]].concat();
        let service = Service::start(&sandbox, folder.path(), &settings).await;
        Self { sandbox, service, file, _folder: folder }
    }

    /// Runs `caller` with these arguments, separated by blanks.
    pub(crate) fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_instagram-accounts"));
        command.env_clear().env("CALLERS_FILE", &self.file).arg("caller");
        command.args(arguments.split(' ')).output().unwrap()
    }

    /// Makes a token and writes its hash.
    pub(crate) fn made(&self, arguments: &str) -> String {
        let output = self.run(&format!("{arguments} --write"));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn client(&self) -> InstagramAccountServiceClient<Channel> {
        self.service.client.clone()
    }

    /// Waits until a token counts, or counts no more.
    pub(crate) async fn until(&self, token: &str, counts: bool) {
        eventually("the file is read again", async || {
            (list(&mut self.client(), token).await.is_ok() == counts).then_some(())
        })
        .await;
    }
}

async fn list(
    client: &mut InstagramAccountServiceClient<Channel>,
    token: &str,
) -> Result<ListResponse, Status> {
    let mut request = Request::new(ListRequest::default());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    client.list(request).await.map(Response::into_inner)
}

#[tokio::test]
async fn a_caller_is_added_used_and_removed_without_a_restart() {
    let listed = Listed::start().await;
    let service = &listed.service;
    assert_eq!(reason(service.list(ListRequest::default()).await), "UNAUTHENTICATED");
    let token = listed.made("add reader --role read --owner shop/*");
    assert!(token.starts_with("igacc_"), "{token}");
    listed.until(&token, true).await;
    let bearer = format!("authorization: Bearer {token}");
    let shown = grpcurl(&["-plaintext", "-H", &bearer, "-d", "{}", &service.address, LIST]);
    assert!(!shown.contains("accounts") && shown.contains("watchCursor"), "{shown}");
    let printed = refused(&service.address, "req-1", "List", &serde_json::json!({}));
    assert_eq!((printed.code.as_str(), printed.reason()), ("Unauthenticated", "UNAUTHENTICATED"));
    assert_eq!(reason(list(&mut listed.client(), "igacc_wrong").await), "UNAUTHENTICATED");
    let mut unlink = Request::new(ig_proto::v1::UnlinkRequest::default());
    unlink.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    assert_eq!(reason(listed.client().unlink(unlink).await), "PERMISSION_DENIED");
    fs::write(&listed.file, "").unwrap();
    listed.until(&token, false).await;
    assert_eq!(reason(list(&mut listed.client(), &token).await), "UNAUTHENTICATED");
    let log = service.process.printed();
    assert!(
        log.contains("WARN") && log.contains("caller=\"reader\"") && !log.contains(&token),
        "{log}"
    );
}

#[tokio::test]
async fn a_caller_ends_at_its_expiry() {
    let listed = Listed::start().await;
    let token = listed.made("add reader --role read --owner * --expires 2100-01-01T00:00:00Z");
    listed.until(&token, true).await;
    let sandbox = &listed.sandbox;
    sandbox.advance(4_102_444_800 - sandbox.now_seconds().await).await;
    listed.until(&token, false).await;
    assert_eq!(reason(list(&mut listed.client(), &token).await), "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_broken_file_keeps_the_callers_and_says_so_once() {
    let listed = Listed::start().await;
    let token = listed.made("add reader --role read --owner *");
    listed.until(&token, true).await;
    let good = fs::read_to_string(&listed.file).unwrap();
    let count = |words: &str| listed.service.process.printed().matches(words).count();
    let read_before = count("CALLERS_FILE was read again");
    fs::write(&listed.file, format!("{good}\n[[caller]]\nname = {token}\n")).unwrap();
    listed.service.process.line_with("CALLERS_FILE cannot be used");
    list(&mut listed.client(), &token).await.unwrap();
    fs::write(&listed.file, good).unwrap();
    eventually("the return to good is told", async || {
        (count("CALLERS_FILE was read again") > read_before).then_some(())
    })
    .await;
    list(&mut listed.client(), &token).await.unwrap();
    assert_eq!(count("CALLERS_FILE cannot be used"), 1);
    assert_eq!(count(&token), 0, "the log repeats what stands in the file");
}

#[tokio::test]
async fn a_token_is_replaced_under_load_without_a_refused_call() {
    let listed = Listed::start().await;
    let old = listed.made("add reader --role read --owner *");
    listed.until(&old, true).await;
    let (current, calls) = (Arc::new(RwLock::new(old.clone())), Arc::new(AtomicUsize::new(0)));
    let stop = tokio_util::sync::CancellationToken::new();
    let load = (0..4).map(|_| {
        let (mut client, current, calls) = (listed.client(), current.clone(), calls.clone());
        let stop = stop.clone();
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                let token = current.read().unwrap().clone();
                list(&mut client, &token).await.unwrap();
                calls.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    let load: Vec<_> = load.collect();
    let new = listed.made("token reader");
    listed.until(&new, true).await;
    list(&mut listed.client(), &old).await.unwrap();
    current.write().unwrap().clone_from(&new);
    let switched = calls.load(Ordering::Relaxed);
    // Whatever was sent with the old token is answered by then.
    eventually("everybody uses the new token", async || {
        (calls.load(Ordering::Relaxed) > switched + 100).then_some(())
    })
    .await;
    let text = fs::read_to_string(&listed.file).unwrap();
    let old_hash = text.split('"').filter(|part| part.len() == 64).nth(1).unwrap();
    fs::write(&listed.file, text.replace(&format!(", \"{old_hash}\""), "")).unwrap();
    listed.until(&old, false).await;
    let removed = calls.load(Ordering::Relaxed);
    eventually("the load goes on", async || {
        (calls.load(Ordering::Relaxed) > removed + 100).then_some(())
    })
    .await;
    stop.cancel();
    for done in join_all(load).await {
        done.expect("no call of the load was refused");
    }
}

#[tokio::test]
async fn no_token_is_in_any_output_file_or_error() {
    let listed = Listed::start_with(&[("RUST_LOG", "trace")]).await;
    let token = listed.made("add reader --role read --owner *");
    listed.until(&token, true).await;
    let wrong = "igacc_planted-wrong-token";
    let refused = list(&mut listed.client(), wrong).await.unwrap_err();
    fs::write(&listed.file, format!("[[caller]]\nname = \"a\"\nroles = [\"{wrong}\"]\n{wrong}"))
        .unwrap();
    let process = &listed.service.process;
    process.line_with("CALLERS_FILE cannot be used");
    list(&mut listed.client(), &token).await.unwrap();
    let broken = listed.run("add another --role read --owner * --write");
    let broken = String::from_utf8([broken.stdout, broken.stderr].concat()).unwrap();
    assert!(broken.contains("was not changed"), "{broken}");
    process.signal(nix::sys::signal::Signal::SIGTERM);
    process.line_with("stopped");
    let log = process.printed();
    assert!(log.contains("UNAUTHENTICATED") && log.contains("hyper"), "little was logged");
    let folder = fs::read_dir(listed.file.parent().unwrap()).unwrap();
    let stored = folder.map(|file| fs::read(file.unwrap().path()).unwrap());
    let stored: Vec<_> = stored.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
    assert!(stored.len() >= 2, "the database and the file");
    for (place, text) in [("log", &log), ("command", &broken), ("files", &stored.concat())] {
        assert!(!text.contains(&token), "the token is in the {place}");
        assert!(place == "files" || !text.contains(wrong), "the wrong token is in the {place}");
    }
    assert!(!format!("{refused:?}").contains(wrong), "{refused:?}");
}

#[tokio::test]
async fn a_caller_that_floods_does_not_stop_another() {
    let listed = Listed::start().await;
    let flooding = listed.made("add flooding --role read --owner *");
    let calm = listed.made("add calm --role read --owner *");
    listed.until(&calm, true).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let overloaded = Arc::new(AtomicUsize::new(0));
    let mut flood = Vec::new();
    for _ in 0..2 {
        let endpoint = Endpoint::from_shared(format!("http://{}", listed.service.address));
        let client = InstagramAccountServiceClient::new(endpoint.unwrap().connect().await.unwrap());
        for _ in 0..64 {
            let (mut client, token) = (client.clone(), flooding.clone());
            let (stop, overloaded) = (stop.clone(), overloaded.clone());
            flood.push(tokio::spawn(async move {
                while !stop.is_cancelled() {
                    if let Err(status) = list(&mut client, &token).await {
                        assert_eq!(reason(Err::<(), _>(status)), "OVERLOADED");
                        overloaded.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }));
        }
    }
    eventually("the flood is beyond its limit", async || {
        (overloaded.load(Ordering::Relaxed) > 100).then_some(())
    })
    .await;
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let begin = Instant::now();
        list(&mut listed.client(), &calm).await.unwrap();
        longest = longest.max(begin.elapsed());
    }
    stop.cancel();
    for done in join_all(flood).await {
        done.unwrap();
    }
    // The flood costs time on a small machine; a caller that has none of its own waits half a minute.
    assert!(longest < Duration::from_secs(10), "{longest:?}");
}

#[tokio::test]
async fn off_loopback_everybody_is_let_in_only_where_somebody_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start().await;
    let command = |settings: &[(&str, &str)]| {
        let mut command = Service::command(&sandbox, folder.path());
        command.env("GRPC_LISTEN", "0.0.0.0:0").envs(settings.iter().copied());
        command
    };
    let output = command(&[]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert_eq!(
        told.lines().last().unwrap(),
        "error: CALLERS_FILE is required where GRPC_LISTEN is not loopback, or ALLOW_ANONYMOUS=true to let \
         everybody who reaches it do everything, for example CALLERS_FILE=/etc/instagram-accounts/callers.toml"
    );
    let open = Process::start(command(&[("ALLOW_ANONYMOUS", "true")]));
    let warned = open.line_with("ALLOW_ANONYMOUS: ");
    assert!(warned.contains("WARN"), "{warned}");
    let file = folder.path().join("callers.toml");
    fs::write(&file, "").unwrap();
    let listed = [("CALLERS_FILE", file.to_str().unwrap()), ("ALLOW_ANONYMOUS", "true")];
    let closed = Process::start(command(&listed));
    let warned = closed.line_with("travel in the clear");
    assert!(warned.contains("WARN"), "{warned}");
    let port = closed.address().await.port();
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    let mut client = InstagramAccountServiceClient::new(endpoint.connect().await.unwrap());
    assert_eq!(reason(client.list(ListRequest::default()).await), "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start().await;
    let file = folder.path().join("callers.toml");
    fs::write(&file, "[[caller]]\nname = \"a\"\nroles = [\"planted\"]\nowners = [\"*\"]\n")
        .unwrap();
    let mut command = Service::command(&sandbox, folder.path());
    let output = command.env("CALLERS_FILE", &file).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    let problem = "cannot be used: line 1: caller a: roles, item 1: a role is one of read, link, token, webhook, admin";
    assert!(told.contains(problem) && !told.contains("planted"), "{told}");
}

//! Callers that are told apart, and their tokens.

use ig_proto::v1::ListRequest;
use sha2::{Digest as _, Sha256};
use tonic::Request;

use super::scenario::{CALLER_TOKEN, OTHER_TOKEN, Scenario, command, told};
use crate::support::Service;
use crate::support::probes::Probes;
use crate::support::service::fetch;

impl Scenario {
    /// Callers that are told apart, by a token that counts and by such as do not.
    pub(super) async fn callers(&mut self) {
        let file = self.place.path().join("callers.toml");
        let hash = Sha256::digest(CALLER_TOKEN);
        let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let stanza = format!(
            "[[caller]]\nname = \"planted\"\ntoken_sha256 = [\"{hash}\"]\nroles = [\"read\"]\nowners = [\"*\"]\n"
        );
        std::fs::write(&file, stanza).unwrap();
        let mut serving = command(&self.stub.url, &self.place, &self.format);
        serving.env("CALLERS_FILE", &file).arg("serve");
        let service = Service::run(serving).await;
        let with = |header: String| {
            let mut request = Request::new(ListRequest::default());
            request.metadata_mut().insert("authorization", header.parse().unwrap());
            request
        };
        let right = format!("Bearer {CALLER_TOKEN}");
        service.client.clone().list(with(right.clone())).await.unwrap();
        for header in [
            format!("Bearer {OTHER_TOKEN}"),
            format!("Bearer {CALLER_TOKEN} {CALLER_TOKEN}"),
            format!("Basic {CALLER_TOKEN}"),
            CALLER_TOKEN.to_owned(),
            format!("Bearer {}", CALLER_TOKEN.repeat(99)),
        ] {
            let refused = service.client.clone().list(with(header)).await;
            self.errors.push(told(&refused.unwrap_err()));
        }
        let mut request = Request::new(fetch(&"0".repeat(36), 0));
        request.metadata_mut().insert("authorization", right.parse().unwrap());
        let refused = service.client.clone().fetch_access_token(request).await;
        self.errors.push(told(&refused.unwrap_err()));
        // The token itself in place of its hash.
        std::fs::write(
            &file,
            format!("[[caller]]\nname = \"{CALLER_TOKEN}\"\ntoken_sha256 = [\"{CALLER_TOKEN}\"]\n"),
        )
        .unwrap();
        service.process.line_with("CALLERS_FILE cannot be used");
        self.metrics.push(Probes::of(&service).ask("/metrics").await.1);
        self.printed.push(service.process.printed());
        let mut starting = command(&self.stub.url, &self.place, &self.format);
        self.run(starting.arg("serve").env("CALLERS_FILE", &file));
    }
}

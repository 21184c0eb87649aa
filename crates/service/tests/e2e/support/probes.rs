//! A service as a probe sees it over plain HTTP.

use super::Service;
use super::process::address_in;

/// Address at which a service answers probes.
pub(crate) struct Probes {
    pub(crate) address: String,
}

impl Probes {
    /// At the address that the service's log tells.
    pub(crate) fn of(service: &Service) -> Self {
        let line = service.process.line_with("probes are answered");
        Self::at(address_in(&line).expect("the line names the address").to_string())
    }

    /// At this address.
    pub(crate) fn at(address: String) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        Self { address }
    }

    /// Asks for this path; returns the status and the body.
    pub(crate) async fn ask(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Present text of `/metrics`.
    pub(crate) async fn metrics(&self) -> Metrics {
        let (status, text) = self.ask("/metrics").await;
        assert_eq!(status, 200, "{text}");
        Metrics(text)
    }

    /// The content type and the text of `/metrics` for this `Accept`.
    pub(crate) async fn metrics_as(&self, accept: &str) -> (String, String) {
        let request = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .get(format!("http://{}/metrics", self.address));
        let answer = request.header("accept", accept).send().await.unwrap();
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (content_type, answer.text().await.unwrap())
    }

    /// The status of `/readyz`.
    pub(crate) async fn readiness(&self) -> u16 {
        self.ask("/readyz").await.0
    }
}

/// The text of `/metrics`.
pub(crate) struct Metrics(String);

impl Metrics {
    /// The value of a sample, by its name without the common prefix and its labels as they are written.
    pub(crate) fn value(&self, sample: &str) -> i64 {
        let begin = format!("instagram_accounts_{sample} ");
        let value = self.0.lines().find_map(|line| line.strip_prefix(&begin));
        value.unwrap_or_else(|| panic!("no {sample} in\n{}", self.0)).parse().unwrap()
    }
}

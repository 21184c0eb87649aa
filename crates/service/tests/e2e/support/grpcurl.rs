//! Real grpcurl, as a stranger uses it.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::{Deserializer, Value, json};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::tool;

const SERVICE: &str = "instagram.accounts.v1.InstagramAccountService";

/// An error as grpcurl prints it.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: String,
    pub(crate) message: String,
    details: Vec<Value>,
}

/// Runs grpcurl and returns what it printed; fails unless it succeeds.
pub(crate) fn grpcurl(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Calls a method that must be refused, under this request id.
pub(crate) fn refused(address: &str, request_id: &str, method: &str, request: &Value) -> Printed {
    let header = format!("x-request-id: {request_id}");
    let (method, request) = (format!("{SERVICE}/{method}"), request.to_string());
    let output = run(&["-plaintext", "-H", &header, "-d", &request, address, &method]);
    assert!(!output.status.success(), "{method} {request}: {output:?}");
    Printed::parse(&String::from_utf8(output.stderr).unwrap())
}

fn run(arguments: &[&str]) -> Output {
    Command::new(tool("GRPCURL")).args(arguments).output().unwrap()
}

impl Printed {
    /// A status that grpcurl cannot be shown, as it would print it.
    pub(crate) fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().expect("an ErrorInfo");
        let request = details.request_info().expect("a RequestInfo");
        let retry = details
            .retry_info()
            .map(|_| json!({"@type": "type.googleapis.com/google.rpc.RetryInfo"}));
        let details = vec![
            json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": info.reason,
                "domain": info.domain, "metadata": info.metadata}),
            json!({"@type": "type.googleapis.com/google.rpc.RequestInfo",
                "requestId": request.request_id}),
        ];
        let details = details.into_iter().chain(retry).collect();
        Self { code: format!("{:?}", status.code()), message: status.message().to_owned(), details }
    }

    fn parse(text: &str) -> Self {
        let line = |name| {
            let mut lines = text.lines().filter_map(|line| line.trim().strip_prefix(name));
            lines.next().unwrap_or_else(|| panic!("no {name} in {text}")).trim().to_owned()
        };
        let (_, printed) = text.split_once("Details:").unwrap_or_else(|| panic!("{text}"));
        let mut details = Vec::new();
        let mut rest = printed;
        while let Some((_, json)) = rest.split_once(")\t") {
            let mut values = Deserializer::from_str(json).into_iter();
            details.push(values.next().unwrap().unwrap());
            rest = json.get(values.byte_offset()..).unwrap();
        }
        Self { code: line("Code:"), message: line("Message:"), details }
    }

    /// The detail of this type.
    pub(crate) fn detail(&self, name: &str) -> &Value {
        let found = self.details.iter().find(|detail| kind(detail) == name);
        found.unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// The stable reason.
    pub(crate) fn reason(&self) -> &str {
        self.detail("ErrorInfo")["reason"].as_str().unwrap()
    }

    /// The metadata of the reason.
    pub(crate) fn facts(&self) -> BTreeMap<&str, &str> {
        let metadata = self.detail("ErrorInfo")["metadata"].as_object();
        let facts = metadata.into_iter().flatten();
        facts.map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect()
    }

    /// The fields that are bad.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let violations = self.detail("BadRequest")["fieldViolations"].as_array().unwrap();
        violations.iter().map(|violation| violation["field"].as_str().unwrap()).collect()
    }
}

fn kind(detail: &Value) -> &str {
    let name = detail["@type"].as_str().unwrap();
    name.strip_prefix("type.googleapis.com/google.rpc.").unwrap()
}

//! The request and response of `BatchGet`.

use ig_application::FoundAccounts;
use ig_domain::ports::BatchKey;
use ig_domain::{InstagramId, Owner};
use ig_proto::v1;

use super::fields::{Fields, InvalidRequest};
use super::read_account;

/// Maximum number of keys in a request.
const MAX_KEYS: usize = 100;

/// Arguments of a `BatchGetRequest`.
#[derive(Debug)]
pub(crate) struct RequestedAccounts {
    /// Owner that they must have; `None` for anybody whom the caller may see.
    pub(crate) owner: Option<Owner>,
    /// The keys beside the text that was sent, each text once; a key may be spelt in several ways.
    keys: Vec<(BatchKey, String)>,
}

impl RequestedAccounts {
    /// The keys, each once.
    pub(crate) fn keys(&self) -> Vec<BatchKey> {
        let mut keys: Vec<BatchKey> = Vec::new();
        for (key, _) in &self.keys {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        keys
    }

    /// All texts that were sent for the key.
    fn as_sent(&self, key: &BatchKey) -> impl Iterator<Item = String> {
        self.keys.iter().filter(move |(one, _)| one == key).map(|(_, raw)| raw.clone())
    }
}

/// Reads a `BatchGetRequest`.
pub(crate) fn batch_get(
    request: &v1::BatchGetRequest,
) -> Result<RequestedAccounts, InvalidRequest> {
    let v1::BatchGetRequest { instagram_ids, account_ids, owner } = request;
    let mut fields = Fields::default();
    let mut keys = Vec::new();
    let wrong_number = match instagram_ids.len() + account_ids.len() {
        0 => Some("a key is required, in instagram_ids or in account_ids".to_owned()),
        1..=MAX_KEYS => None,
        _ => Some(format!("at most {MAX_KEYS} keys, instagram_ids and account_ids together")),
    };
    if let Some(description) = wrong_number {
        fields.refuse("instagram_ids", &description);
        fields.refuse("account_ids", &description);
    } else {
        let wrong_id = format!("not 1 to {} digits", InstagramId::MAX_LENGTH);
        take(&mut fields, &mut keys, "instagram_ids", instagram_ids, |raw| {
            raw.parse().map(BatchKey::Instagram).map_err(|_| wrong_id.as_str())
        });
        take(&mut fields, &mut keys, "account_ids", account_ids, |raw| {
            raw.parse().map(BatchKey::Id).map_err(|_| "not a UUID")
        });
    }
    let owner = fields.parse_given("owner", owner.as_deref());
    fields.finish(|| Ok(RequestedAccounts { owner: owner?, keys }))
}

/// Takes the keys of one list, and names every bad one. The words are short, since a hundred of them must fit
/// where clients take 8 KiB.
fn take<'a>(
    fields: &mut Fields,
    keys: &mut Vec<(BatchKey, String)>,
    field: &str,
    raw: &[String],
    parse: impl Fn(&str) -> Result<BatchKey, &'a str>,
) {
    for (index, raw) in raw.iter().enumerate() {
        match parse(raw) {
            Ok(key) if keys.iter().any(|(known, sent)| *known == key && sent == raw) => {}
            Ok(key) => keys.push((key, raw.clone())),
            Err(description) => drop(fields.refuse(&format!("{field}[{index}]"), description)),
        }
    }
}

/// Accounts that were found, on the wire. A hundred of the largest fit into what clients take as one message.
pub(crate) fn found_accounts(
    found: FoundAccounts,
    requested: &RequestedAccounts,
) -> v1::BatchGetResponse {
    let FoundAccounts { accounts, not_found } = found;
    v1::BatchGetResponse {
        accounts: accounts.iter().map(read_account).collect(),
        not_found: not_found.iter().flat_map(|key| requested.as_sent(key)).collect(),
    }
}

#[cfg(test)]
mod tests;

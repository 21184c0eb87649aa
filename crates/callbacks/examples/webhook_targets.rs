//! Prints signed webhooks for measurements, a line each, with the header of its signature and its body:
//! `webhook_targets APP_SECRET FIRST BATCHES UPDATES`.
//!
//! Each batch has so many messages, `FIRST` being the number of the very first one, to the accounts with the
//! professional account ids 1 to 100 in turn.

use std::error::Error;
use std::io::{BufWriter, Write as _};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

/// Moment of the messages, in milliseconds.
const TIME: u64 = 1_795_900_000_123;

const ACCOUNTS: u64 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [secret, first, batches, updates] = arguments.as_slice() else {
        return Err("needs APP_SECRET, FIRST, BATCHES and UPDATES".into());
    };
    let (first, batches, updates): (u64, u64, u64) =
        (first.parse()?, batches.parse()?, updates.parse()?);
    let mut output = BufWriter::new(std::io::stdout().lock());
    for batch in 0..batches {
        let first = first + batch * updates;
        let entries: Vec<_> = (first..first + updates).map(entry).collect();
        let body = json!({ "object": "instagram", "entry": entries }).to_string();
        let keyed = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
        let mac = keyed.chain_update(&body).finalize().into_bytes();
        write!(output, "sha256=")?;
        for byte in mac {
            write!(output, "{byte:02x}")?;
        }
        writeln!(output, " {body}")?;
    }
    output.flush()?;
    Ok(())
}

/// One message, of some 300 bytes.
fn entry(number: u64) -> serde_json::Value {
    let account = (number % ACCOUNTS + 1).to_string();
    json!({
        "id": account,
        "time": TIME,
        "messaging": [{
            "sender": { "id": (90_001 + number % 1000).to_string() },
            "recipient": { "id": account },
            "timestamp": TIME + number,
            "message": {
                "mid": format!("aGVsbG8gZnJvbSB0aGUgc2FuZGJveCwgdGhpcyBpcyBhIG1lc3NhZ2U{number:012}"),
                "text": "Is it there in blue, too? I would take two of them, if they come before Friday.",
            },
        }],
    })
}

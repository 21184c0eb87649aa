//! The certificate of the TLS servers of `cargo xtask bench`.
//!
//! `make_certificate FOLDER` makes an authority, and a certificate of it for `localhost`: `authority.crt`,
//! `server.crt` and `server.key`, in PEM.
#![expect(clippy::unwrap_used, reason = "whoever starts a benchmark reads its panics")]

use std::fs;
use std::path::PathBuf;

use ig_test_support::certificates::{Authority, Name};

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).unwrap());
    let authority = Authority::new();
    let issued = authority.issue(&[Name::Dns("localhost")]);
    fs::write(folder.join("authority.crt"), authority.pem).unwrap();
    fs::write(folder.join("server.crt"), issued.pem).unwrap();
    fs::write(folder.join("server.key"), issued.key).unwrap();
}

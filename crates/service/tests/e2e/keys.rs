//! Sealing keys come, go, and get lost.

mod rotation;

use ig_proto::v1::TokenOutcome;

use crate::support::sandbox::{BAKERY, CREATOR};
use crate::support::{A_DAY_LATER, Service, Stack, eventually, reason};

const FORMER: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEWER: &str = "k2:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

/// Each replica restarts with the next setting while the other still runs with the one before.
#[tokio::test]
async fn a_new_key_is_rolled_out_second_and_then_first_and_every_replica_opens_every_token() {
    let stack = Stack::start_with(&[("TOKEN_KEYS", FORMER)]).await;
    let replica = async |keys: &str| {
        Service::start(&stack.sandbox, stack.folder.path(), &[("TOKEN_KEYS", keys)]).await
    };
    let bakery = stack.service.linked(&stack.sandbox, "", BAKERY).await;
    let second = replica(&format!("{FORMER},{NEWER}")).await;
    let first = replica(&format!("{NEWER},{FORMER}")).await;
    let sketches = first.linked(&stack.sandbox, "", CREATOR).await;
    stack.sandbox.advance(A_DAY_LATER).await;
    for (service, account) in [(&second, &sketches), (&first, &bakery)] {
        service.clock_follows(&stack.sandbox).await;
        let refreshed = service.refresh(&account.account_id).await.unwrap();
        assert_eq!(refreshed.token_outcome(), TokenOutcome::Renewed);
    }
}

#[tokio::test]
async fn without_its_key_a_token_is_lost_until_the_person_consents_again() {
    let stack = Stack::start_with(&[("TOKEN_KEYS", FORMER)]).await;
    let account = stack.service.linked(&stack.sandbox, "", BAKERY).await;
    let settings = [("TOKEN_KEYS", NEWER)];
    let service = Service::start(&stack.sandbox, stack.folder.path(), &settings).await;
    eventually("the missing key is named", async || {
        let log = service.process.printed();
        log.contains("cannot be opened: put these keys behind").then_some(())
    })
    .await;
    service.process.line_with(r#"keys="k1""#);
    assert_eq!(reason(service.refresh(&account.account_id).await), "INTERNAL");
    service.process.line_with(r#"sealed under key "k1", which is not among the configured keys"#);

    let again = service.linked(&stack.sandbox, "", BAKERY).await;
    assert_eq!(again.account_id, account.account_id);
    let refreshed = service.refresh(&account.account_id).await.unwrap();
    assert_eq!(refreshed.token_outcome(), TokenOutcome::TooYoung);
}

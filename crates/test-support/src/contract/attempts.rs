//! Attempts: stored rows are found, and a state serves one code.

use ig_domain::ports::{GraphFacts, StoreError};
use ig_domain::{
    Consent, GrantedScopes, LinkAttempt, LinkEndKind, LinkOutcome, LinkRefusal, Phase, Scope,
    ShortLivedGrant, ShortLivedToken,
};

use super::StoreUnderTest;
use super::samples::{
    assert_conflict, assert_same_phase, attempt, code, count_at_once, exchanged, holder, id,
    pending_link, state,
};
use crate::builders::{START, parsed};

fn assert_same(found: &LinkAttempt, expected: &LinkAttempt) {
    let LinkAttempt {
        code,
        state,
        owner,
        session_binding,
        redirect_uri,
        end,
        scopes,
        account,
        create_time,
        phase,
    } = found;
    assert!(*code == expected.code && *state == expected.state);
    assert!(*session_binding == expected.session_binding);
    assert_eq!(*owner, expected.owner);
    assert_eq!(*redirect_uri, expected.redirect_uri);
    assert_eq!(*end, expected.end);
    assert_eq!(*scopes, expected.scopes);
    assert_eq!(*account, expected.account);
    assert_eq!(*create_time, expected.create_time);
    assert_same_phase(phase, &expected.phase);
}

/// Stored fields come back, the short-lived token to the letter.
pub async fn every_field_of_an_attempt_survives_in_every_phase(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let bare = Phase::Exchanged(ShortLivedGrant {
        token: ShortLivedToken::new(parsed(&"t".repeat(4096))),
        consent: Consent {
            receive_time: START,
            user_id: None,
            granted_scopes: GrantedScopes::Unknown,
        },
    });
    let ends = [LinkEndKind::Caller, LinkEndKind::Page].into_iter().cycle();
    let phases = [Phase::Unsent, Phase::Sent, exchanged(), bare];
    for ((number, phase), end) in (1_u8..).zip(phases).zip(ends) {
        let anybody = LinkAttempt { account: None, end, ..attempt(number, phase.clone()) };
        ports.pending_links.insert(&pending_link(number)).await.unwrap();
        ports.link_attempts.create(&anybody, holder(number)).await.unwrap();
        assert_same(&ports.link_attempts.find(&code(number)).await.unwrap().unwrap(), &anybody);

        let moved = 100 + number;
        ports.begin(moved, Phase::Unsent).await;
        ports.link_attempts.advance(&code(moved), holder(moved), &phase).await.unwrap();
        let found = ports.link_attempts.find(&code(moved)).await.unwrap().unwrap();
        assert_same(&found, &attempt(moved, phase));
    }
}

/// Every outcome of a code comes back as it was.
pub async fn every_outcome_survives(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let facts = GraphFacts {
        code: Some(i64::MAX),
        subcode: Some(-1),
        fbtrace_id: Some("A-b_9".to_owned()),
    };
    let missing = vec![parsed::<Scope>("z_scope"), Scope::basic()];
    let linked =
        |created, missing_scopes| LinkOutcome::Linked { account: id(1), created, missing_scopes };
    let refusals = [
        LinkRefusal::CodeRejected(facts.clone()),
        LinkRefusal::CodeRejected(GraphFacts::default()),
        LinkRefusal::PersonalAccount,
        LinkRefusal::ScopeMissing { missing: missing.clone() },
        LinkRefusal::WrongAccount,
        LinkRefusal::OwnedByAnother,
        LinkRefusal::Interrupted,
        LinkRefusal::Unreadable(facts),
    ];
    let outcomes = [linked(true, missing), linked(false, Vec::new())]
        .into_iter()
        .chain(refusals.map(LinkOutcome::Refused));
    for (number, outcome) in (1_u8..).zip(outcomes) {
        let ended = Phase::Ended { outcome, end_time: START };
        ports.begin(number, exchanged()).await;
        ports.link_attempts.advance(&code(number), holder(number), &ended).await.unwrap();
        assert_same_phase(&ports.phase(number).await.unwrap(), &ended);
    }
}

/// From then on the state names its code.
pub async fn creating_an_attempt_spends_its_state(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, Phase::Unsent).await;
    let pending = ports.pending_links.find(&state(1)).await.unwrap().unwrap();
    assert!(pending.spent_by == Some(code(1)));
}

/// A second code with the same state is refused and leaves no attempt.
pub async fn a_spent_state_creates_no_second_attempt(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, Phase::Unsent).await;
    let second = LinkAttempt { code: code(2), ..attempt(1, Phase::Unsent) };
    assert_conflict(ports.link_attempts.create(&second, holder(2)).await);
    assert!(ports.phase(2).await.is_none());
    let pending = ports.pending_links.find(&state(1)).await.unwrap().unwrap();
    assert!(pending.spent_by == Some(code(1)));
}

/// A code that is known spends nothing more, and its attempt stays as it was.
pub async fn an_attempt_that_exists_spends_no_second_state(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, exchanged()).await;
    ports.pending_links.insert(&pending_link(2)).await.unwrap();
    let again = LinkAttempt { state: state(2), ..attempt(1, Phase::Unsent) };
    assert_conflict(ports.link_attempts.create(&again, holder(2)).await);
    let unspent = ports.pending_links.find(&state(2)).await.unwrap();
    assert_eq!(unspent, Some(pending_link(2)));
    assert_same_phase(&ports.phase(1).await.unwrap(), &exchanged());
}

/// Without a state there is no attempt.
pub async fn an_unknown_state_creates_nothing(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let created = ports.link_attempts.create(&attempt(1, Phase::Unsent), holder(1)).await;
    assert_conflict(created);
    assert!(ports.phase(1).await.is_none());
}

/// Twenty codes at once for one state: one is taken.
pub async fn of_many_codes_for_one_state_one_creates_an_attempt(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.pending_links.insert(&pending_link(1)).await.unwrap();
    let created = count_at_once(|number| {
        let attempts = ports.link_attempts.clone();
        async move {
            let attempt = LinkAttempt { code: code(number), ..attempt(1, Phase::Unsent) };
            match attempts.create(&attempt, holder(number)).await {
                Ok(()) => true,
                Err(StoreError::Conflict) => false,
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    assert_eq!(created.await, 1);
}

/// The attempt is gone, and the next code may spend its state.
pub async fn an_unsent_attempt_that_nobody_holds_makes_room(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, Phase::Unsent).await;
    ports.link_attempts.release(&code(1), holder(1), &Phase::Unsent).await.unwrap();
    assert!(ports.link_attempts.discard_unsent(&code(1), &state(1)).await.unwrap());
    assert!(ports.phase(1).await.is_none());
    let second = LinkAttempt { code: code(2), ..attempt(1, Phase::Unsent) };
    ports.link_attempts.create(&second, holder(2)).await.unwrap();
    assert!(!ports.link_attempts.discard_unsent(&code(1), &state(1)).await.unwrap());
    let pending = ports.pending_links.find(&state(1)).await.unwrap().unwrap();
    assert!(pending.spent_by == Some(code(2)));
}

/// What somebody holds, and what Instagram may have taken, stays with its state.
pub async fn no_other_attempt_makes_room(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, Phase::Unsent).await;
    for (number, phase) in [(2, Phase::Sent), (3, exchanged())] {
        ports.begin(number, phase.clone()).await;
        ports.link_attempts.release(&code(number), holder(number), &phase).await.unwrap();
    }
    for number in 1..=3 {
        let (code, state) = (code(number), state(number));
        assert!(!ports.link_attempts.discard_unsent(&code, &state).await.unwrap(), "{number}");
        assert!(ports.phase(number).await.is_some(), "{number}");
        let pending = ports.pending_links.find(&state).await.unwrap().unwrap();
        assert!(pending.spent_by == Some(code), "{number}");
    }
}

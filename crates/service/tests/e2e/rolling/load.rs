//! Callers that work through the proxy without a pause, each like a well-made client: a call that is answered
//! UNAVAILABLE is made once more, at once, and no other is.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ig_proto::v1::get_request::Key;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use ig_proto::v1::{
    BeginLinkRequest, GetRequest, InstagramAccount, ListRequest, RefreshRequest, TokenOutcome,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::support::sandbox::Decision;
use crate::support::{REDIRECT_URI, Sandbox, arrival};

/// Number of times that a caller reads what it linked: reads are what callers do most.
const READS: usize = 20;

/// Time within which a change shows on replicas that did not make it.
const SHOWN_WITHIN: Duration = Duration::from_secs(1);

/// Results of the calls of all callers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) links: Cell<u32>,
    pub(super) renewals: Cell<u32>,
    /// Answers, whatever they were, without those that were followed by a second try.
    pub(super) calls: Cell<u32>,
    /// Calls that were answered UNAVAILABLE, and tried again.
    pub(super) retries: RefCell<Vec<String>>,
    /// Failures that a caller was left with.
    pub(super) failures: RefCell<Vec<String>>,
}

/// One caller, with an owner of its own.
pub(super) struct Caller<'a> {
    pub(super) client: InstagramAccountServiceClient<Channel>,
    pub(super) sandbox: &'a Sandbox,
    pub(super) owner: String,
    /// The account that it links again and again.
    pub(super) username: String,
    /// Linked accounts whose tokens are old enough to be renewed, once.
    pub(super) aged: Vec<InstagramAccount>,
}

/// Lets the callers work until `stop`, and to the end of what they are at.
pub(super) async fn work(callers: Vec<Caller<'_>>, stop: &CancellationToken) -> Tally {
    let tally = Tally::default();
    join_all(callers.into_iter().map(async |mut caller| {
        while !stop.is_cancelled() {
            // A failure is in the tally; the caller begins anew.
            let _ = caller.round(&tally).await;
        }
    }))
    .await;
    tally
}

impl Caller<'_> {
    /// Links, reads and renews. `None` after a failed call.
    async fn round(&mut self, tally: &Tally) -> Option<()> {
        let account = self.link(tally).await?;
        let linked = Instant::now();
        for _ in 0..READS {
            self.read(&account, linked, tally).await?;
        }
        self.renew(account, tally).await
    }

    /// Reads the account as it is since `linked`, by whichever replica.
    async fn read(&self, account: &InstagramAccount, linked: Instant, tally: &Tally) -> Option<()> {
        let (key, owner) = (Key::AccountId(account.account_id.clone()), self.owner.clone());
        let request = GetRequest { key: Some(key), owner: Some(owner.clone()) };
        loop {
            let may_be_as_before = linked.elapsed() < SHOWN_WITHIN;
            let found = tally.call(async || self.client.clone().get(request.clone()).await).await?;
            if found.account.as_ref() == Some(account) {
                break;
            }
            assert!(may_be_as_before, "{found:?} is not {account:?}");
        }
        let request = ListRequest { owner: Some(owner), ..Default::default() };
        let listed = tally.call(async || self.client.clone().list(request.clone()).await).await?;
        assert!(listed.accounts.contains(account), "{listed:?}");
        Some(())
    }

    async fn link(&self, tally: &Tally) -> Option<InstagramAccount> {
        let request = BeginLinkRequest {
            owner: self.owner.clone(),
            redirect_uri: REDIRECT_URI.to_owned(),
            ..Default::default()
        };
        let begun =
            tally.call(async || self.client.clone().begin_link(request.clone()).await).await?;
        let url = begun.authorization_url;
        let arrived = self.sandbox.decide(&url, &self.username, Decision::Allow).await;
        let request = arrival(arrived, &self.owner);
        let linked = tally.call(async || self.client.clone().link(request.clone()).await).await?;
        let account = linked.account.expect("a link answers its account");
        assert_eq!((&account.username, &account.owner), (&self.username, &self.owner));
        tally.links.set(tally.links.get() + 1);
        Some(account)
    }

    /// Renews an aged token; when there is none left, `fresh` is refreshed, which is too young.
    async fn renew(&mut self, fresh: InstagramAccount, tally: &Tally) -> Option<()> {
        let aged = self.aged.pop();
        let before = aged.as_ref().unwrap_or(&fresh);
        let request = RefreshRequest {
            account_id: before.account_id.clone(),
            owner: Some(self.owner.clone()),
        };
        let refreshed =
            tally.call(async || self.client.clone().refresh(request.clone()).await).await?;
        let outcome = refreshed.token_outcome();
        let account = refreshed.account.expect("a refresh answers its account");
        if aged.is_some() {
            // A second try may find that the first one, whose answer was lost, had renewed it.
            assert_ne!(account.token_issue_time, before.token_issue_time, "{outcome:?}");
            tally.renewals.set(tally.renewals.get() + 1);
        } else {
            assert_eq!(outcome, TokenOutcome::TooYoung);
        }
        Some(())
    }
}

impl Tally {
    /// Makes a call, and once more after UNAVAILABLE.
    async fn call<T>(&self, call: impl AsyncFn() -> Result<Response<T>, Status>) -> Option<T> {
        let mut answer = call().await;
        if let Err(status) = &answer
            && status.code() == Code::Unavailable
        {
            self.retries.borrow_mut().push(status.message().to_owned());
            answer = call().await;
        }
        self.calls.set(self.calls.get() + 1);
        let answer = answer.map(Response::into_inner);
        answer.map_err(|status| self.failures.borrow_mut().push(format!("{status:?}"))).ok()
    }
}

//! Calls to a replica, and the work of its keeper: each a future that goes from one call to a port to the next.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ig_application::{
    BeginLink, BeginLinkCommand, BeginLinkError, BegunLink, FetchAccessToken,
    FetchAccessTokenCommand, FetchAccessTokenError, FetchedAccessToken, GetAccounts,
    HandOutRecorder, HostedConsent, LinkAccountError, LinkReturn, LinkSettings, LinkWork,
    LinkedAccount, ListAccounts, ListAccountsQuery, Ports, RefreshAccount, RefreshAccountError,
    RefreshWork, RefreshedAccount, Sweep, UnlinkAccount,
};
use ig_domain::ports::{BatchKey, StoreError};
use ig_domain::{
    AccountId, OwnerScope, Presentation, Recipient, RequestId, RequestedScopes, ReturnUrl,
    SessionBinding,
};
use ig_test_support::builders::parsed;
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;

use crate::hosted::Visit;
use crate::replica::Process;
use crate::watchers::Follower;

/// Lifetime of a state.
const STATE_TTL: Duration = Duration::from_hours(1);

/// A call, or a round of the keeper, under way.
pub(crate) type Work = Pin<Box<dyn Future<Output = Answer>>>;

/// Answer to a call.
pub(crate) enum Answer {
    Begun(Consent, Result<BegunLink, BeginLinkError>),
    /// A browser that came to our callback, and the ticket with which it goes on; `None` where it goes on with none.
    SentBack(Visit, Option<String>),
    Linked(String, Result<LinkedAccount, LinkAccountError>),
    Refreshed(Result<RefreshedAccount, RefreshAccountError>),
    Fetched(Fetch, Result<FetchedAccessToken, FetchAccessTokenError>),
    /// Number of accounts that a round of the keeper visited.
    Visited(Result<usize, StoreError>),
    /// The end of a stream.
    Watched(Follower, String),
    /// Another one, of which nothing is to be checked.
    Other(String),
}

/// A consent that is to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Consent {
    pub(crate) person: u32,
    pub(crate) owner: &'static str,
    /// Whether the browser comes back to our own callback.
    pub(crate) hosted: bool,
}

/// A call for a token.
pub(crate) struct Fetch {
    pub(crate) request_id: RequestId,
    pub(crate) arrival: OffsetDateTime,
}

pub(crate) fn begin(ports: &Ports, consent: Consent) -> Work {
    let return_url: ReturnUrl = parsed("https://example.com/linked");
    let hosted = HostedConsent {
        redirect_uri: parsed("https://accounts.example.com/oauth/callback"),
        return_urls: vec![return_url.clone()],
    };
    let begin = BeginLink {
        accounts: ports.store.accounts.clone(),
        pending_links: ports.store.pending_links.clone(),
        instagram: ports.instagram.clone(),
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
        settings: LinkSettings {
            redirect_uris: Vec::new(),
            hosted: Some(hosted),
            state_ttl: STATE_TTL,
        },
    };
    let command = BeginLinkCommand {
        owner: parsed(consent.owner),
        link_return: if consent.hosted {
            LinkReturn::Hosted { return_url: Some(return_url), ttl: None }
        } else {
            LinkReturn::Caller(parsed("https://example.com/callback"))
        },
        scopes: Some(RequestedScopes::usual()),
        force_reauth: false,
        account: None,
        session_binding: SessionBinding::default(),
    };
    Box::pin(async move { Answer::Begun(consent, begin.execute(command).await) })
}

pub(crate) fn link(ports: &Ports, presented: Presentation) -> Work {
    let work = LinkWork::new(ports);
    Box::pin(async move { Answer::Linked(name(&presented), work.run(&presented).await) })
}

pub(crate) fn refresh(ports: &Ports, id: AccountId) -> Work {
    let work = RefreshWork::new(ports);
    Box::pin(async move { Answer::Refreshed(work.run(id).await) })
}

/// The `number`th call for a token.
pub(crate) fn fetch(ports: &Ports, id: AccountId, min_ttl: Duration, number: u32) -> Work {
    let refresh = Arc::new(RefreshAccount::new(ports, TaskTracker::new()));
    let fetch = FetchAccessToken::new(ports, refresh, TaskTracker::new());
    let recorder = HandOutRecorder::new(ports.store.audit.clone());
    let request_id: RequestId = parsed(&format!("req-{number}"));
    let recipient = Recipient {
        caller: parsed("publisher"),
        purpose: parsed("publish"),
        request_id: request_id.clone(),
    };
    let owners = OwnerScope::everyone();
    let command = FetchAccessTokenCommand { account: id, owners, min_ttl, recipient };
    let call = Fetch { request_id, arrival: ports.clock.now() };
    // The work itself, without the task of its own that needs a runtime.
    let renewal = RefreshWork::new(ports);
    Box::pin(async move {
        let record = |entry| recorder.record(entry);
        let fetched = fetch.execute_with(&command, renewal.run(id), record).await;
        Answer::Fetched(call, fetched)
    })
}

pub(crate) fn unlink(ports: &Ports, id: AccountId) -> Work {
    let unlink = UnlinkAccount::new(ports);
    Box::pin(async move {
        let unlinked = unlink.execute(id, &OwnerScope::everyone()).await;
        Answer::Other(format!("unlinked: {unlinked:?}"))
    })
}

/// A call that reads what is stored of many accounts.
pub(crate) fn get(ports: &Ports, id: AccountId) -> Work {
    let (accounts, clock) = (ports.store.cached_accounts.clone(), ports.clock.clone());
    let get = GetAccounts { accounts, clock };
    Box::pin(async move {
        let found = get.execute(vec![BatchKey::Id(id)], &OwnerScope::everyone()).await;
        Answer::Other(format!("got: {:?}", found.map(|found| found.accounts.len())))
    })
}

pub(crate) fn list(ports: &Ports) -> Work {
    let (accounts, clock) = (ports.store.accounts.clone(), ports.clock.clone());
    let list = ListAccounts { accounts, clock };
    let owners = OwnerScope::everyone();
    let query = ListAccountsQuery { owners, status: None, after: None, limit: 10 };
    Box::pin(async move {
        let listed = list.execute(query).await;
        Answer::Other(format!("listed: {:?}", listed.map(|listed| listed.accounts.len())))
    })
}

pub(crate) fn sweep(ports: &Ports) -> Work {
    let sweep = Sweep::new(ports);
    Box::pin(async move { Answer::Other(format!("swept: {:?}", sweep.execute_round().await)) })
}

/// A round of the keeper.
pub(crate) fn look(process: &Process) -> Work {
    let keeper = Arc::clone(&process.keeper);
    Box::pin(async move { Answer::Visited(keeper.execute_round().await) })
}

/// The name of a presentation: its code and its state.
pub(crate) fn name(presented: &Presentation) -> String {
    format!("{} with {}", presented.code.expose(), presented.state.expose())
}

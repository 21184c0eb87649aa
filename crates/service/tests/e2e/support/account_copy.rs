//! A copy of all accounts that a client keeps by `List` and `Watch`, as docs/OPERATIONS.md says.

use std::collections::BTreeMap;
use std::time::Duration;

use ig_proto::v1::watch_request::From;
use ig_proto::v1::{Event, EventKind, InstagramAccount, ListRequest, WatchRequest, WatchResponse};
use tokio::time::timeout;
use tonic::{Status, Streaming};
use tonic_types::StatusExt as _;

use super::TEST_TIMEOUT;
use super::clients::{Client, Clients, is_passing};

/// Maximum number of accounts of a page: most lists have several pages.
const PAGE_SIZE: i32 = 5;

/// Interval between the end of a stream and the next one, in which something happens.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(100);

/// The accounts by id.
type Accounts = BTreeMap<String, InstagramAccount>;

/// The copy. It begins with a list.
#[derive(Default)]
pub(crate) struct AccountCopy {
    pub(crate) accounts: Accounts,
    /// Number of lists so far.
    pub(crate) lists: usize,
    /// Number of streams that ended and were resumed.
    pub(crate) resumes: usize,
    /// Revision that the last event of each account told since the last list.
    told: BTreeMap<String, i64>,
    /// Cursor of all that is done; `None` where a list is to be read.
    cursor: Option<String>,
    stream: Option<Streaming<WatchResponse>>,
}

impl AccountCopy {
    /// Follows what happens while `changes` are made, and returns their result.
    pub(crate) async fn follow<T>(
        &mut self,
        clients: &Clients,
        changes: impl Future<Output = T>,
    ) -> T {
        let mut changes = std::pin::pin!(changes);
        loop {
            tokio::select! {
                made = &mut changes => return made,
                () = self.advance(clients) => {}
            }
        }
    }

    /// Follows until it has `last`, by the event of the last change or by a list, and asserts that the copy is what is
    /// stored. What no event tells is left out.
    pub(crate) async fn assert_ends_at(&mut self, clients: &Clients, last: &InstagramAccount) {
        let following = async {
            while !self.accounts.contains_key(&last.account_id) {
                self.advance(clients).await;
            }
        };
        timeout(TEST_TIMEOUT, following).await.expect("the last event is told");
        let (stored, _) = listed(&mut clients.turn(0)).await.unwrap();
        let told = |accounts: &Accounts| accounts.values().map(told).collect::<Vec<_>>();
        assert_eq!(told(&self.accounts), told(&stored));
    }

    /// Goes away, with its cursor.
    pub(crate) fn disconnect(&mut self) {
        self.stream = None;
    }

    /// Does one thing: lists, opens a stream, or takes its next message. May be dropped and called again.
    async fn advance(&mut self, clients: &Clients) {
        let mut client = clients.turn(self.resumes);
        let done = match (&self.cursor, &mut self.stream) {
            (None, _) => self.list(&mut client).await,
            (Some(cursor), None) => client.watch(after(cursor)).await.map(|opened| {
                self.stream = Some(opened.into_inner());
            }),
            (Some(_), Some(stream)) => stream.message().await.map(|message| {
                self.take(message.expect("a stream ends with a status"));
            }),
        };
        let Err(status) = done else { return };
        self.stream = None;
        self.resumes += 1;
        let info = status.get_details_error_info();
        if info.is_some_and(|info| info.reason == "CURSOR_EXPIRED") {
            self.cursor = None;
            return;
        }
        assert!(is_passing(&status), "{status:?}");
        tokio::time::sleep(RECONNECT_INTERVAL).await;
    }

    /// Begins with what is stored: accounts that the list lacks are gone.
    async fn list(&mut self, client: &mut Client) -> Result<(), Status> {
        let (accounts, cursor) = listed(client).await?;
        self.accounts = accounts;
        self.cursor = Some(cursor);
        self.told.clear();
        self.lists += 1;
        Ok(())
    }

    fn take(&mut self, message: WatchResponse) {
        let WatchResponse { events, accounts, cursor, .. } = message;
        for event in events {
            self.hear(&event);
        }
        for account in accounts {
            let known = self.accounts.get(&account.account_id);
            if known.is_none_or(|known| known.revision <= account.revision) {
                self.accounts.insert(account.account_id.clone(), account);
            }
        }
        self.cursor = Some(cursor);
    }

    /// Every revision has an event, for nobody here changes the counts alone, and each comes once, for no cursor is
    /// forgotten.
    fn hear(&mut self, event: &Event) {
        if let Some(former) = self.told.insert(event.account_id.clone(), event.revision) {
            assert_eq!(event.revision, former + 1, "{event:?}");
        } else if let Some(listed) = self.accounts.get(&event.account_id) {
            assert!(event.revision <= listed.revision + 1, "{event:?}");
        }
        if event.kind() == EventKind::Unlinked {
            self.accounts.remove(&event.account_id);
        }
    }
}

/// All accounts, page by page, and the cursor of the first page.
async fn listed(client: &mut Client) -> Result<(Accounts, String), Status> {
    let mut request = ListRequest { page_size: PAGE_SIZE, ..Default::default() };
    let mut page = client.list(request.clone()).await?.into_inner();
    let cursor = std::mem::take(&mut page.watch_cursor);
    let mut accounts = Accounts::new();
    loop {
        let by_id = |account: InstagramAccount| (account.account_id.clone(), account);
        accounts.extend(page.accounts.into_iter().map(by_id));
        if page.next_page_token.is_empty() {
            return Ok((accounts, cursor));
        }
        request.page_token = page.next_page_token;
        page = client.list(request.clone()).await?.into_inner();
    }
}

/// The account without that of which no event tells.
fn told(account: &InstagramAccount) -> InstagramAccount {
    InstagramAccount { profile_time: None, next_refresh_time: None, ..account.clone() }
}

fn after(cursor: &str) -> WatchRequest {
    WatchRequest { from: Some(From::After(cursor.to_owned())), ..WatchRequest::default() }
}

//! A service of its own beside a stub of its own, on which cases run one after the other.

use ig_proto::v1::get_request::Key;
use ig_proto::v1::{AccountStatus, InstagramAccount, LinkRequest, UnlinkRequest};

use super::answers::{Answers, LONG, SHORT};
use super::case::{After, Brought, Call, Case};
use super::outcome::Outcome;
use crate::support::Service;
use crate::support::stub::{Asked, Endpoint, Stub};

/// Owner of the accounts that the cases link.
pub(crate) const OWNER: &str = "bakery/4";

const HOUR: i64 = 60 * 60;

pub(crate) struct Lane {
    stub: Stub,
    service: Service,
    _folder: tempfile::TempDir,
    codes: u32,
}

/// Descriptions of what went otherwise than it should.
type Troubles = Vec<String>;

impl Lane {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stub = Stub::start();
        let app = ["880000000000041", "5tub5ecret0000000000000000000041"];
        let service = Service::run(Service::command_of(&stub.url, app, folder.path())).await;
        Self { stub, service, _folder: folder, codes: 0 }
    }

    pub(crate) async fn run(&mut self, case: &Case) -> Troubles {
        match case.call {
            Call::Link(brought) => self.link(case, brought).await,
            Call::RefreshYoung => self.refresh(case, false).await,
            Call::RefreshOld => self.refresh(case, true).await,
        }
    }

    async fn link(&mut self, case: &Case, brought: Brought) -> Troubles {
        let state = self.service.begin(OWNER).await.state;
        let code = self.new_code();
        let request = brought.request(&code, &state);
        if matches!(brought, Brought::Late) {
            self.pass(HOUR).await;
        }
        self.expect(&case.answers);
        let answer = self.service.link(request.clone()).await;
        let mut troubles = differences(&case.expected, &Outcome::of_link(&answer));
        let asked = self.stub.take_asked();
        if let Ok(answer) = answer {
            let account = answer.account.unwrap();
            troubles.extend(wrongly_asked(&asked, &code));
            troubles.extend(self.stored(&account, case.alias).await);
            self.unlink(account.account_id).await;
        } else {
            troubles.extend(self.after_refusal(case, request, &asked, &code, &state).await);
        }
        troubles
    }

    /// Troubles of a link that was refused.
    async fn after_refusal(
        &mut self,
        case: &Case,
        request: LinkRequest,
        asked: &[Asked],
        code: &str,
        state: &str,
    ) -> Troubles {
        self.expect(&Answers::usual());
        let unasked = matches!(case.after, After::Untouched | After::Over);
        let request = match case.after {
            After::Untouched => Brought::USUAL.request(code, state),
            _ => request,
        };
        let again = self.service.link(request).await;
        let outcome = Outcome::of_link(&again);
        let asked_again = self.stub.take_asked();
        let mut troubles = Vec::new();
        if unasked != asked.is_empty() {
            troubles.push(format!("Instagram was asked {asked:?}"));
        }
        match (case.after, again) {
            (After::Final | After::Over, _) => {
                troubles.extend(differences(&case.expected, &outcome));
                if !asked_again.is_empty() {
                    troubles.push(format!("asked again: {asked_again:?}"));
                }
            }
            (After::Again | After::Untouched, Err(status)) => {
                troubles.push(format!("the link is not good any more: {status:?}"));
            }
            (After::Again | After::Untouched, Ok(answer)) => {
                let exchanged = asked.iter().any(|asked| asked.endpoint == Endpoint::Exchange);
                let sent = asked_again.iter().filter(|asked| asked.endpoint == Endpoint::Token);
                if sent.count() != usize::from(!exchanged) {
                    troubles.push(format!("the code went out again: {asked_again:?}"));
                }
                self.unlink(answer.account.unwrap().account_id).await;
            }
        }
        troubles
    }

    async fn refresh(&mut self, case: &Case, old: bool) -> Troubles {
        let before = self.link_usual().await;
        if old {
            self.pass(25 * HOUR).await;
        }
        self.expect(&case.answers);
        let answer = self.service.refresh(&before.account_id).await;
        let outcome = Outcome::of_refresh(&answer);
        let mut troubles = differences(&case.expected, &outcome);
        let asked = self.stub.take_asked();
        troubles.extend(wrongly_renewed(&asked, old.then_some(LONG)));
        let stored = self.service.get(Key::AccountId(before.account_id.clone())).await.unwrap();
        match answer {
            Ok(answer) if answer.account.as_ref() != Some(&stored) => {
                troubles.push(format!("another account is stored: {stored:?}"));
            }
            Ok(_) if old => troubles.extend(self.serves(case.renewed, &asked, &stored).await),
            Ok(_) => {}
            Err(_) => troubles.extend(wrongly_changed(&before, &stored, &outcome)),
        }
        self.unlink(before.account_id).await;
        if outcome.is_throttled() {
            // It is remembered for the time that was named: a day at most.
            self.pass(25 * HOUR).await;
        }
        troubles
    }

    /// Whether the token that a renewal brought is used from then on.
    async fn serves(&self, token: &str, asked: &[Asked], account: &InstagramAccount) -> Troubles {
        let mut read = asked.iter().filter(|asked| asked.endpoint == Endpoint::Me);
        let mut troubles = Vec::new();
        if !read.all(|asked| asked.bears(token)) {
            troubles.push(format!("read with another token: {asked:?}"));
        }
        self.pass(25 * HOUR).await;
        self.expect(&Answers::usual());
        if let Err(status) = self.service.refresh(&account.account_id).await {
            troubles.push(format!("the day after: {status:?}"));
        }
        troubles.extend(wrongly_renewed(&self.stub.take_asked(), Some(token)));
        troubles
    }

    /// Whether the account is found, by each of its ids.
    async fn stored(&self, account: &InstagramAccount, alias: Option<&str>) -> Troubles {
        let ids = [&account.professional_account_id, &account.app_scoped_user_id];
        let ids = ids.into_iter().map(String::as_str).chain(alias).filter(|id| !id.is_empty());
        let ids = ids.map(|id| Key::InstagramId(id.to_owned()));
        let mut troubles = Vec::new();
        for key in ids.chain([Key::AccountId(account.account_id.clone())]) {
            match self.service.get(key.clone()).await {
                Ok(found) if found == *account => {}
                found => troubles.push(format!("by {key:?}: {found:?}")),
            }
        }
        troubles
    }

    async fn link_usual(&mut self) -> InstagramAccount {
        self.expect(&Answers::usual());
        let state = self.service.begin(OWNER).await.state;
        let request = Brought::USUAL.request(&self.new_code(), &state);
        self.service.link(request).await.unwrap().account.unwrap()
    }

    async fn unlink(&self, account_id: String) {
        let request = UnlinkRequest { account_id, ..UnlinkRequest::default() };
        self.service.client.clone().unlink(request).await.unwrap();
    }

    /// Has the stub give these answers from now on, and forget what it was asked.
    fn expect(&self, answers: &Answers) {
        answers.plan(&self.stub);
        self.stub.take_asked();
    }

    async fn pass(&self, seconds: i64) {
        self.stub.advance(seconds);
        self.service.clock_reaches(self.stub.now_seconds()).await;
    }

    fn new_code(&mut self) -> String {
        self.codes += 1;
        format!("AQBstub{:04}Zm9vZA-x_y", self.codes)
    }
}

fn differences(expected: &Outcome, found: &Outcome) -> Troubles {
    let same = expected == found;
    if same { Vec::new() } else { vec![format!("\n  expected {expected:?}\n  found    {found:?}")] }
}

/// Whether the code and the short-lived token went where they belong.
fn wrongly_asked(asked: &[Asked], code: &str) -> Troubles {
    let right = |asked: &&Asked| match asked.endpoint {
        Endpoint::Token => asked.has("code", code),
        Endpoint::Exchange => asked.has("access_token", SHORT),
        Endpoint::Me => asked.bears(SHORT),
        Endpoint::Refresh => false,
    };
    let wrong = asked.iter().filter(|asked| !right(asked));
    wrong.map(|asked| format!("wrongly asked: {asked:?}")).collect()
}

/// Whether this token was renewed, or none.
fn wrongly_renewed(asked: &[Asked], token: Option<&str>) -> Troubles {
    let renewals = asked.iter().filter(|asked| asked.endpoint == Endpoint::Refresh);
    let renewals: Vec<_> = renewals.collect();
    let right = match token {
        None => renewals.is_empty(),
        Some(token) => {
            let its = |asked: &&Asked| asked.has("access_token", token);
            !renewals.is_empty() && renewals.iter().all(its)
        }
    };
    if right { Vec::new() } else { vec![format!("wrongly renewed: {renewals:?}")] }
}

/// Whether a refresh that failed left the account as its reason allows.
fn wrongly_changed(
    before: &InstagramAccount,
    after: &InstagramAccount,
    outcome: &Outcome,
) -> Troubles {
    let dead = match outcome {
        Outcome::Refused(refusal) => refusal.facts.get("reauthorization_reason"),
        _ => None,
    };
    let right = match dead {
        None => before == after,
        Some(reason) => {
            after.status() == AccountStatus::ReauthorizationRequired
                && after.reauthorization_reason().as_str_name()
                    == format!("REAUTHORIZATION_REASON_{reason}")
                && after.revision == before.revision + 1
        }
    };
    if right { Vec::new() } else { vec![format!("the account became {after:?}")] }
}

//! One case: a call, what Instagram answers to it, and what must come of it.

use ig_proto::v1::LinkRequest;

use super::answers::{Answers, RENEWED};
use super::lane::OWNER;
use super::outcome::{Account, Outcome};
use crate::support::stub::{Endpoint, Reply};

/// The part of Instagram that a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    /// 1: the response that a browser comes back with.
    Authorization,
    /// 2: a code for a short-lived token.
    CodeExchange,
    /// 3: the long-lived token and its renewal.
    LongLived,
    /// 4: `/me`.
    Profile,
    /// 6: errors of the Graph API, and throttling.
    GraphErrors,
}

/// Call of a case.
pub(crate) enum Call {
    /// `Link` with what a browser brought back.
    Link(Brought),
    /// `Refresh` of an account whose token is a few seconds old.
    RefreshYoung,
    /// `Refresh` of an account whose token is a day old.
    RefreshOld,
}

/// Response that a browser brought back; `CODE` and `STATE` stand for the real ones.
#[derive(Clone, Copy)]
pub(crate) enum Brought {
    /// The whole URL or its query.
    Response(&'static str),
    /// The code by itself, beside the state.
    Code(&'static str),
    /// The usual URL, after the state has expired.
    Late,
}

/// Condition of a link after it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// It is refused for good: the same call is answered alike, and Instagram is not asked again.
    Final,
    /// The same call may succeed.
    Again,
    /// Nothing was begun, and the state is still good.
    Untouched,
    /// Nothing was begun, and the state is no good any more.
    Over,
}

/// One case of a row.
pub(crate) struct Case {
    pub(crate) section: Section,
    pub(crate) row: &'static str,
    name: String,
    pub(crate) call: Call,
    pub(crate) answers: Answers,
    pub(crate) expected: Outcome,
    pub(crate) after: After,
    /// The token that a renewal brings.
    pub(crate) renewed: &'static str,
    /// An Instagram id that finds the account besides those that it shows.
    pub(crate) alias: Option<&'static str>,
}

impl Call {
    pub(crate) fn is_link(&self) -> bool {
        matches!(self, Self::Link(_))
    }
}

impl Brought {
    /// Response that browsers usually bring.
    pub(crate) const USUAL: Self =
        Self::Response("https://example.com/instagram/callback?code=CODE&state=STATE#_");

    pub(crate) fn request(self, code: &str, state: &str) -> LinkRequest {
        let filled = |text: &str| text.replace("CODE", code).replace("STATE", state);
        let request = LinkRequest { owner: OWNER.to_owned(), ..LinkRequest::default() };
        match self {
            Self::Response(text) => LinkRequest { authorization_response: filled(text), ..request },
            Self::Code(text) => {
                LinkRequest { code: filled(text), state: state.to_owned(), ..request }
            }
            Self::Late => Self::USUAL.request(code, state),
        }
    }
}

impl Case {
    fn new(section: Section, row: &'static str, name: impl Into<String>, call: Call) -> Self {
        Self {
            section,
            row,
            name: name.into(),
            call,
            answers: Answers::usual(),
            expected: Outcome::Linked(Account::usual()),
            after: After::Again,
            renewed: RENEWED,
            alias: None,
        }
    }

    /// A link with what a browser usually brings.
    pub(crate) fn link(section: Section, row: &'static str, name: impl Into<String>) -> Self {
        Self::new(section, row, name, Call::Link(Brought::USUAL))
    }

    /// A link with what a browser brought this time.
    pub(crate) fn brought(row: &'static str, name: impl Into<String>, brought: Brought) -> Self {
        Self::new(Section::Authorization, row, name, Call::Link(brought))
    }

    /// A refresh of a token that is a few seconds old.
    pub(crate) fn young(section: Section, row: &'static str, name: impl Into<String>) -> Self {
        Self::new(section, row, name, Call::RefreshYoung)
    }

    /// A refresh of a token that is a day old.
    pub(crate) fn old(section: Section, row: &'static str, name: impl Into<String>) -> Self {
        Self::new(section, row, name, Call::RefreshOld)
    }

    /// Instagram gives this answer at `endpoint`, however often it is asked.
    pub(crate) fn answer(self, endpoint: Endpoint, reply: Reply) -> Self {
        self.answers(endpoint, vec![reply])
    }

    /// Instagram gives these answers at `endpoint`, the last one for ever.
    pub(crate) fn answers(mut self, endpoint: Endpoint, replies: Vec<Reply>) -> Self {
        self.answers = self.answers.but(endpoint, replies);
        self
    }

    /// Sets the expected outcome.
    pub(crate) fn gives(mut self, expected: Outcome) -> Self {
        self.after = match &expected {
            Outcome::Refused(refusal) if FINAL.contains(&refusal.reason.as_str()) => After::Final,
            _ => After::Again,
        };
        self.expected = expected;
        self
    }

    /// Sets the condition of the link afterwards, where the reason does not tell.
    pub(crate) fn then(mut self, after: After) -> Self {
        self.after = after;
        self
    }

    /// The token that a renewal brings, where it is not the usual one.
    pub(crate) fn renewed_to(mut self, token: &'static str) -> Self {
        self.renewed = token;
        self
    }

    /// An Instagram id that finds the account besides those that it shows.
    pub(crate) fn also_found_by(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    /// Title of a failed case.
    pub(crate) fn title(&self) -> String {
        let call = match self.call {
            Call::Link(_) => "Link",
            Call::RefreshYoung => "Refresh before a day",
            Call::RefreshOld => "Refresh after a day",
        };
        format!("{:?}, {}, {}, {call}", self.section, self.row, self.name)
    }
}

/// The reasons after which a code will never become an account.
const FINAL: [&str; 6] = [
    "CODE_REJECTED",
    "PERSONAL_ACCOUNT",
    "SCOPE_MISSING",
    "WRONG_ACCOUNT",
    "OWNED_BY_ANOTHER",
    "LINK_INTERRUPTED",
];

//! Pages at the end of a hosted consent.

use std::borrow::Cow;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use ig_domain::{ConsentDenial, LinkRefusal, Scope, Username};

use crate::html;

/// A page at the end of a hosted consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// The account is linked.
    Linked {
        /// Its handle.
        username: Username,
        /// Scopes that were requested and not granted.
        missing_scopes: Vec<Scope>,
    },
    /// The person cancelled.
    Cancelled,
    /// The app is not set up for this person.
    NotOpen,
    /// The permission without which nothing works was not granted.
    PermissionMissing,
    /// The account is personal.
    PersonalAccount,
    /// Another account was to be re-authorised.
    WrongAccount,
    /// The account is linked under another owner.
    OwnedByAnother,
    /// A new link is needed.
    Expired,
    /// A reload may help.
    OurTrouble,
    /// A reload shows the end.
    StillWorking,
}

/// The document of a [`Page`].
#[derive(Template)]
#[template(path = "page.html")]
struct Document<'a> {
    mark: Mark,
    title: &'a str,
    what: Cow<'static, str>,
    unticked: Vec<&'a str>,
    next: Cow<'static, str>,
}

/// The sign above a title.
#[derive(Clone, Copy)]
enum Mark {
    Done,
    Stop,
    Wait,
}

impl Mark {
    fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Stop => "stop",
            Self::Wait => "wait",
        }
    }

    /// What is drawn in a circle around (16, 16).
    fn path(self) -> &'static str {
        match self {
            Self::Done => "M10 16.5l4 4 8-9",
            Self::Stop => "M16 9.5v8M16 22v.1",
            Self::Wait => "M16 9v7l5 3",
        }
    }
}

impl Page {
    /// The page for a consent that Instagram sent back without a code. It shows nothing of the text: whoever knows a
    /// living state could write it.
    pub(crate) fn of_denial(denial: &ConsentDenial) -> Self {
        if denial.blames_the_app() { Self::NotOpen } else { Self::Cancelled }
    }

    /// The page for a code that will never become an account.
    pub(crate) fn of_refusal(refusal: &LinkRefusal) -> Self {
        match refusal {
            LinkRefusal::CodeRejected(_) | LinkRefusal::Interrupted => Self::Expired,
            LinkRefusal::PersonalAccount => Self::PersonalAccount,
            LinkRefusal::ScopeMissing { .. } => Self::PermissionMissing,
            LinkRefusal::WrongAccount => Self::WrongAccount,
            LinkRefusal::OwnedByAnother => Self::OwnedByAnother,
            LinkRefusal::Unreadable(_) => Self::OurTrouble,
        }
    }

    /// The answer with this page.
    pub(crate) fn answer(&self, status: StatusCode) -> Response {
        let (mark, title) = self.heading();
        let [what, next] = self.paragraphs();
        let unticked = match self {
            Self::Linked { missing_scopes, .. } => missing_scopes.iter().map(described).collect(),
            _ => Vec::new(),
        };
        html::document(status, &Document { mark, title, what, unticked, next })
    }

    fn heading(&self) -> (Mark, &'static str) {
        match self {
            Self::Linked { .. } => (Mark::Done, "Your Instagram account is linked"),
            Self::Cancelled => (Mark::Stop, "Nothing was linked"),
            Self::NotOpen => (Mark::Stop, "This app is not open to you yet"),
            Self::PermissionMissing => (Mark::Stop, "A permission is missing"),
            Self::PersonalAccount => (Mark::Stop, "This is a personal account"),
            Self::WrongAccount => (Mark::Stop, "Another account was expected"),
            Self::OwnedByAnother => (Mark::Stop, "This account is linked elsewhere"),
            Self::Expired => (Mark::Stop, "This link does not work any more"),
            Self::OurTrouble => (Mark::Wait, "Something went wrong on our side"),
            Self::StillWorking => (Mark::Wait, "Still working on it"),
        }
    }

    /// What happened, and what to do.
    fn paragraphs(&self) -> [Cow<'static, str>; 2] {
        let texts = match self {
            Self::Linked { username, .. } => {
                return [
                    format!("@{username} is linked.").into(),
                    "You can close this page.".into(),
                ];
            }
            Self::Cancelled => [
                "You cancelled at Instagram, so nothing was changed.",
                "If you did not mean to, open the same link again.",
            ],
            Self::NotOpen => [
                "Instagram lets only invited people use it for now, or its settings are incomplete. Please tell whoever sent you the link.",
                "If you were invited as a tester, accept the invitation in Instagram’s settings under Apps and websites, and open the same link again.",
            ],
            Self::PermissionMissing => [
                "You unticked the permission to see your profile. Without it nothing can be linked.",
                "Ask for a new link, and leave this permission ticked.",
            ],
            Self::PersonalAccount => [
                "Instagram lets apps work with professional accounts only, so nothing was linked.",
                "In Instagram’s settings you can switch to a professional account, free of charge. Then ask for a new link.",
            ],
            Self::WrongAccount => [
                "The link is for one particular account, and you chose another one at Instagram. Nothing was changed.",
                "Ask for a new link, and log in to Instagram with the right account.",
            ],
            Self::OwnedByAnother => [
                "Somebody else has already linked it here. Nothing was changed.",
                "It must be unlinked there first. Then ask for a new link.",
            ],
            Self::Expired => [
                "Its time is over, or it was used already.",
                "Ask whoever sent it to you for a new one.",
            ],
            Self::OurTrouble => [
                "We could not finish this just now. It is not your fault.",
                "Reload this page in a minute. If that does not help, ask for a new link.",
            ],
            Self::StillWorking => [
                "This takes longer than usual. Nothing is lost.",
                "Reload this page in a minute to see how it ended.",
            ],
        };
        texts.map(Cow::Borrowed)
    }
}

/// A permission in words; the name of one that we do not know.
fn described(scope: &Scope) -> &str {
    match scope.as_str() {
        "instagram_business_basic" => "see your profile and your posts",
        "instagram_business_content_publish" => "publish posts for you",
        "instagram_business_manage_comments" => "read and answer comments",
        "instagram_business_manage_messages" => "read and answer messages",
        "instagram_business_manage_insights" => "see your statistics",
        name => name,
    }
}

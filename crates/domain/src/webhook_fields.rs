//! Webhook fields: which kinds of updates an account sends.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::GrantedScopes;

const COMMENTS: &str = "instagram_business_manage_comments";
const MESSAGES: &str = "instagram_business_manage_messages";

/// The fields, and the permission that each needs.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/webhooks>.
const FIELDS: [(&str, &str); 11] = [
    ("comments", COMMENTS),
    ("live_comments", COMMENTS),
    ("message_edit", MESSAGES),
    ("message_reactions", MESSAGES),
    ("messages", MESSAGES),
    ("messaging_handover", MESSAGES),
    ("messaging_optins", MESSAGES),
    ("messaging_postbacks", MESSAGES),
    ("messaging_referral", MESSAGES),
    ("messaging_seen", MESSAGES),
    ("standby", MESSAGES),
];

/// Webhook fields that accounts are to send. Empty: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookFields(BTreeSet<&'static str>);

/// A name is that of no webhook field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of the webhook fields {known}", known = FIELDS.map(|(name, _)| name).join(", "))]
pub struct InvalidWebhookField(String);

impl WebhookFields {
    /// The fields whose permission was granted; all of them where Instagram did not say.
    #[must_use]
    pub fn allowed_by(&self, granted: &GrantedScopes) -> Self {
        let has = |scope: &str| granted.iter().any(|granted| granted.as_str() == scope);
        let allowed = FIELDS.into_iter().filter(|(_, scope)| !granted.are_known() || has(scope));
        Self(allowed.map(|(name, _)| name).filter(|name| self.0.contains(name)).collect())
    }

    /// The names, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for WebhookFields {
    type Err = InvalidWebhookField;

    /// Reads names with commas between them; blanks around a name and empty names are passed over.
    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let names = raw.split(',').map(str::trim).filter(|name| !name.is_empty());
        let fields = names.map(|name| {
            let known = FIELDS.into_iter().find(|(known, _)| *known == name);
            known.map(|(name, _)| name).ok_or_else(|| InvalidWebhookField(name.to_owned()))
        });
        fields.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(fields: &WebhookFields) -> Vec<&'static str> {
        fields.iter().collect()
    }

    #[test]
    fn a_list_names_fields() {
        let fields: WebhookFields = "messages, comments,messages,".parse().unwrap();
        assert_eq!(names(&fields), ["comments", "messages"]);
        assert!("".parse::<WebhookFields>().unwrap().is_empty());
    }

    #[test]
    fn an_unknown_field_is_named() {
        let refused = "comments,likes".parse::<WebhookFields>().unwrap_err();
        assert_eq!(refused, InvalidWebhookField("likes".to_owned()));
        assert!(refused.to_string().contains("live_comments, message_edit"), "{refused}");
    }

    #[test]
    fn only_what_the_person_granted_is_allowed() {
        let fields: WebhookFields = "messages,comments".parse().unwrap();
        let granted = |scopes: &[&str]| {
            GrantedScopes::Known(scopes.iter().map(|scope| scope.parse().unwrap()).collect())
        };
        assert_eq!(names(&fields.allowed_by(&granted(&[COMMENTS]))), ["comments"]);
        assert!(fields.allowed_by(&granted(&["instagram_business_basic"])).is_empty());
        assert_eq!(fields.allowed_by(&GrantedScopes::Unknown), fields);
    }
}

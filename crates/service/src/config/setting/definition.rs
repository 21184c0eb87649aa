//! A setting: an environment variable, and a flag of the same name.

/// A setting: an environment variable, and a flag of the same name.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The environment variable.
    pub(crate) name: &'static str,
    /// Kind of value, as the help shows it.
    pub(in crate::config) value_name: &'static str,
    /// Purpose of the setting, in one line.
    pub(in crate::config) meaning: &'static str,
    /// Value of a setting that is not given.
    pub(in crate::config) default: Default,
    /// A value that would do.
    pub(crate) example: &'static str,
    /// Minimum and maximum of a span of time, as people write them; `None` for any other value.
    pub(in crate::config) span_limits: Option<(&'static str, &'static str)>,
    /// Whether its value must not be shown. Such a setting may also be given as a file.
    pub(in crate::config) secret: bool,
    /// Meaning of an empty value.
    pub(in crate::config) empty: Empty,
    /// The heading of the help that it stands below.
    pub(in crate::config) group: &'static str,
}

/// The value of a setting that is not given.
#[derive(Debug)]
pub(in crate::config) enum Default {
    /// Nothing: it must be given.
    Required,
    /// No value, which means this.
    Unset(&'static str),
    /// This value.
    Value(&'static str),
}

/// Meaning of an empty value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Empty {
    /// As if it were not given. That of settings with a default, which the documents tell, and of those without which
    /// nothing becomes less safe.
    NotGiven,
    /// A value like any other.
    AValue,
    /// A mistake, such as a variable that was to be put in and is unset: as if it were not given, it would let
    /// everybody in, take any redirect URI, or go without TLS or proxy. That of most settings without a default.
    Refused,
}

impl Setting {
    /// One that must be given.
    pub(super) const fn required(
        name: &'static str,
        value_name: &'static str,
        meaning: &'static str,
    ) -> Self {
        Self::new(name, value_name, meaning, Default::Required).empty(Empty::Refused)
    }

    /// One that need not be given, which then means `unset`.
    pub(super) const fn optional(
        name: &'static str,
        value_name: &'static str,
        meaning: &'static str,
        unset: &'static str,
    ) -> Self {
        Self::new(name, value_name, meaning, Default::Unset(unset)).empty(Empty::Refused)
    }

    /// One with a default.
    pub(super) const fn defaulting(
        name: &'static str,
        value_name: &'static str,
        meaning: &'static str,
        default: &'static str,
    ) -> Self {
        Self::new(name, value_name, meaning, Default::Value(default)).example(default)
    }

    const fn new(
        name: &'static str,
        value_name: &'static str,
        meaning: &'static str,
        default: Default,
    ) -> Self {
        Self {
            name,
            value_name,
            meaning,
            default,
            example: "",
            span_limits: None,
            secret: false,
            empty: Empty::NotGiven,
            group: "",
        }
    }

    pub(super) const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// The span of time is `min` to `max`.
    pub(super) const fn between(self, min: &'static str, max: &'static str) -> Self {
        Self { span_limits: Some((min, max)), ..self }
    }

    pub(super) const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    pub(super) const fn empty(self, empty: Empty) -> Self {
        Self { empty, ..self }
    }

    pub(super) const fn below(self, group: &'static str) -> Self {
        Self { group, ..self }
    }

    /// The flag: `STATE_TTL` is `state-ttl`, without the hyphens before it.
    pub(in crate::config) fn flag(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "-")
    }

    /// Remedy for an empty value that is refused.
    pub(in crate::config) fn remedy_for_empty(&self) -> &'static str {
        match self.default {
            Default::Required => "give it a value",
            Default::Unset(_) | Default::Value(_) => "leave it out, or give it a value",
        }
    }

    /// The variable that names a file with the value.
    pub(in crate::config) fn file_name(&self) -> String {
        format!("{}_FILE", self.name)
    }

    /// The flag that names a file with the value.
    pub(in crate::config) fn file_flag(&self) -> String {
        format!("{}-file", self.flag())
    }
}

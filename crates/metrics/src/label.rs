//! Labels with few values, all known when the program is built.

/// An enum without data whose variants are the values of a label. [`label!`](crate::label!) makes it one.
pub trait Label: Copy + 'static {
    /// The label's name.
    const NAME: &'static str;
    /// All values.
    const ALL: &'static [Self];

    /// The value as it is shown.
    fn value(self) -> &'static str;

    /// A number of its own for each value, from 0 to one less than there are values.
    fn index(self) -> usize;
}

/// Makes an enum a [`Label`]: `label!(Outcome, "outcome", { Ok => "ok", Failed => "failed" })`.
///
/// The enum must not number its variants itself. To forget one does not compile.
#[macro_export]
macro_rules! label {
    ($type:ty, $name:literal, { $($variant:ident => $value:expr),+ $(,)? }) => {
        impl $crate::Label for $type {
            const NAME: &'static str = $name;
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn value(self) -> &'static str {
                match self {
                    $(Self::$variant => $value),+
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

/// Something for each value of a label, at the value's index.
pub(crate) fn by_index<L: Label, T>(make: impl FnMut(L) -> T) -> impl Iterator<Item = T> {
    let mut values = L::ALL.to_vec();
    values.sort_by_key(|value| value.index());
    values.into_iter().map(make)
}

/// A label and its value, as they are written.
pub(crate) fn pair<L: Label>(label: L) -> (&'static str, &'static str) {
    (L::NAME, label.value())
}

//! Names of enum values, as used on the wire, in rows and in the log. Each name is written once and
//! parsed from text and JSON.

use crate::{Error, Result};

/// Defines an enum whose values have names. With `"role" pub enum Role { … }`, the error of
/// `FromStr` calls the value a role.
macro_rules! names {
    ($(#[$meta:meta])* $what:literal pub enum $type:ident {
        $($(#[$doc:meta])* $variant:ident = $name:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
        pub enum $type {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl $type {
            /// Every value, in order.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Returns the value's name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = crate::Error;

            fn from_str(text: &str) -> crate::Result<Self> {
                crate::names::parse($what, text, &Self::ALL, Self::as_str)
            }
        }
    };
}

pub(crate) use names;

/// Returns the value with this name. [`Error::Invalid`] lists the valid names.
pub(crate) fn parse<T: Copy>(what: &str, text: &str, all: &[T], name: fn(T) -> &'static str) -> Result<T> {
    all.iter().copied().find(|value| name(*value) == text).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|value| name(*value)).collect();
        let one_of = if names.len() > 2 { "one of " } else { "" };
        Error::Invalid(format!("{what} must be {one_of}{}.", in_words(&names)))
    })
}

/// Joins names into a phrase: `owner, admin or launch`.
pub(crate) fn in_words(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditAction;
    use crate::copies::Layout;
    use crate::issuer::IssuerKind;
    use crate::platform::Platform;
    use crate::ports::RunNotice;
    use crate::role::{Permission, Role};
    use crate::run::{ReportedBy, RunResult, State};
    use crate::settings::LaunchWithoutWorkspace;
    use crate::token_scope::TokenScope;

    #[test]
    fn every_value_has_a_unique_name_and_parses_from_it() {
        macro_rules! check {
            ($($type:ident)*) => {$(
                for value in $type::ALL {
                    let name = value.as_str();
                    assert_eq!(value.to_string(), name);
                    assert_eq!(name.parse::<$type>().unwrap(), value, "{name}");
                    assert_eq!(serde_json::to_value(value).unwrap(), name);
                    assert_eq!(serde_json::from_value::<$type>(name.into()).unwrap(), value, "{name}");
                }
            )*};
        }
        check!(AuditAction IssuerKind Layout Permission Platform Role RunNotice RunResult State ReportedBy TokenScope
            LaunchWithoutWorkspace);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_valid_names_and_not_quoted() {
        fn refusal<T: std::str::FromStr<Err = Error>>(text: &str) -> Option<String> {
            text.parse::<T>().err().map(|error| error.to_string())
        }
        let role = "role must be one of owner, admin, maintain, launch, connect or view.";
        for text in ["", "Owner", "owner ", "viewer"] {
            assert_eq!(refusal::<Role>(text).as_deref(), Some(role), "{text:?}");
        }
        let platform =
            "platform must be one of aws-batch, slurm, lsf, pbs-pro, grid-engine, moab or kubernetes.";
        for text in ["", "AWS-Batch", "awsbatch", "slurm ", "k8s"] {
            assert_eq!(refusal::<Platform>(text).as_deref(), Some(platform), "{text:?}");
        }
        for text in ["", "Bundle", "per_name", "bundles"] {
            let layout = "layout must be one of bundle, per-name or plugin.";
            assert_eq!(refusal::<Layout>(text).as_deref(), Some(layout), "{text:?}");
        }
    }

    #[test]
    fn names_in_words_are_a_phrase() {
        for (names, words) in [
            (&[][..], ""),
            (&["owner"], "owner"),
            (&["owner", "admin"], "owner or admin"),
            (&["owner", "admin", "launch"], "owner, admin or launch"),
        ] {
            assert_eq!(in_words(names), words, "{names:?}");
        }
    }
}

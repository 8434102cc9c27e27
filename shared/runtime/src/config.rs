//! Configuration from the environment: read once at start, every fault reported at once.
//!
//! A function asks for the sections that it needs, `load::<(Table, Settings, EnvelopeKey)>(process)`; no variable holds
//! a secret. Faults name variable and rule, never what the variable holds.

use std::fmt;

mod sections;

pub use sections::{Bus, EnvelopeKey, Home, Launch, Oidc, OidcIssuer, Table};

/// A part of the configuration that is read as a whole.
pub trait Section: Sized {
    /// Reads the section; `None` where a variable is at fault, which is then noted in `variables`. Reads all its
    /// variables in either case.
    fn read(variables: &mut Variables<'_>) -> Option<Self>;
}

/// The environment while it is read.
pub struct Variables<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<Fault>,
}

/// One variable that is not as it must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The variable's name.
    pub variable: &'static str,
    /// What it must hold.
    pub rule: &'static str,
    /// Whether it is missing or empty.
    pub missing: bool,
}

/// Everything that is wrong with the environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misconfigured(Vec<Fault>);

impl Misconfigured {
    /// The faults, in the order in which the variables were read; each variable once.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let missing = if fault.missing { " is missing and" } else { "" };
            write!(f, "{separator}{}{missing} must be {}", fault.variable, fault.rule)?;
        }
        Ok(())
    }
}

impl std::error::Error for Misconfigured {}

/// Reads sections from an environment; [`process`] is that of this process.
pub fn load<S: Section>(lookup: impl Fn(&str) -> Option<String>) -> Result<S, Misconfigured> {
    let mut variables = Variables { lookup: &lookup, faults: Vec::new() };
    let section = S::read(&mut variables);
    match section {
        Some(section) if variables.faults.is_empty() => Ok(section),
        _ => Err(Misconfigured(variables.faults)),
    }
}

/// The environment of this process. What is not UTF-8 counts as missing.
#[must_use]
pub fn process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Variables<'_> {
    /// A variable that must be there, as `parse` understands it.
    pub fn required<T>(
        &mut self,
        variable: &'static str,
        rule: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self.optional(variable, rule, parse)? {
            Some(value) => Some(value),
            None => self.fault(Fault { variable, rule, missing: true }),
        }
    }

    /// A variable that may be missing or empty, which is the same: `Some(None)`.
    #[allow(clippy::option_option, reason = "at fault, absent, there")]
    pub fn optional<T>(
        &mut self,
        variable: &'static str,
        rule: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        match (self.lookup)(variable).filter(|text| !text.is_empty()) {
            None => Some(None),
            Some(text) => match parse(&text) {
                Some(value) => Some(Some(value)),
                None => self.fault(Fault { variable, rule, missing: false }),
            },
        }
    }

    /// Notes a fault, once for each variable.
    pub fn fault<T>(&mut self, fault: Fault) -> Option<T> {
        if self.faults.iter().all(|known| known.variable != fault.variable) {
            self.faults.push(fault);
        }
        None
    }
}

macro_rules! section_of_sections {
    ($($part:ident)+) => {
        impl<$($part: Section),+> Section for ($($part,)+) {
            fn read(variables: &mut Variables<'_>) -> Option<Self> {
                // All are read before one that failed ends it.
                #[allow(non_snake_case)]
                let ($($part,)+) = ($($part::read(variables),)+);
                Some(($($part?,)+))
            }
        }
    };
}

section_of_sections!(A B);
section_of_sections!(A B C);
section_of_sections!(A B C D);
section_of_sections!(A B C D E);
section_of_sections!(A B C D E F);

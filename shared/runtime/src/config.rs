//! Configuration from environment variables. It is read once at start, and all faults are reported
//! together.
//!
//! A function loads the sections that it needs: `load::<(Table, Settings, EnvelopeKey)>(process)`.
//! No variable contains a secret. Faults name the variable and the rule, never the variable's
//! content.

use std::borrow::Cow;
use std::fmt;

mod sections;

pub use sections::{Bus, ComputeEnvironments, EnvelopeKey, Home, Launch, Table};

/// A part of the configuration.
pub trait Section: Sized {
    /// Reads the section. Returns `None` if a variable is invalid, and adds the fault to
    /// `variables`. Reads all variables of the section in either case.
    fn read(variables: &mut Variables<'_>) -> Option<Self>;
}

/// The environment variables, and the faults found so far.
pub struct Variables<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<Fault>,
}

/// A missing or invalid variable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The variable's name.
    pub variable: &'static str,
    /// The rule for its content.
    pub rule: Cow<'static, str>,
    /// Whether it is missing or empty.
    pub missing: bool,
}

/// All faults of the environment variables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misconfigured(Vec<Fault>);

impl Misconfigured {
    /// Returns the faults in the order in which the variables were read, one per variable.
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

/// Loads sections from an environment, such as [`process`].
pub fn load<S: Section>(lookup: impl Fn(&str) -> Option<String>) -> Result<S, Misconfigured> {
    let mut variables = Variables { lookup: &lookup, faults: Vec::new() };
    let section = S::read(&mut variables);
    match section {
        Some(section) if variables.faults.is_empty() => Ok(section),
        _ => Err(Misconfigured(variables.faults)),
    }
}

/// Returns a variable of this process. A value that is not UTF-8 counts as missing.
#[must_use]
pub fn process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Variables<'_> {
    /// Reads a required variable.
    pub fn required<T>(
        &mut self,
        variable: &'static str,
        rule: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        match self.optional(variable, rule, parse)? {
            Some(value) => Some(value),
            None => self.fault(Fault { variable, rule: rule.into(), missing: true }),
        }
    }

    /// Reads an optional variable. Returns `Some(None)` if it is missing or empty.
    #[allow(clippy::option_option, reason = "invalid, absent, present")]
    pub fn optional<T>(
        &mut self,
        variable: &'static str,
        rule: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        self.checked(variable, |text| parse(text).ok_or(rule.into()))
    }

    /// Reads an optional variable with a parser that says which rule is violated. Returns
    /// `Some(None)` if the variable is missing or empty.
    #[allow(clippy::option_option, reason = "invalid, absent, present")]
    pub fn checked<T>(
        &mut self,
        variable: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Cow<'static, str>>,
    ) -> Option<Option<T>> {
        match (self.lookup)(variable).filter(|text| !text.is_empty()) {
            None => Some(None),
            Some(text) => match parse(&text) {
                Ok(value) => Some(Some(value)),
                Err(rule) => self.fault(Fault { variable, rule, missing: false }),
            },
        }
    }

    /// Adds a fault, at most one per variable.
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
                // Read all sections before returning, so that all faults are reported.
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
section_of_sections!(A B C D E F G);

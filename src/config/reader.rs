//! Looks variables up and gathers what is wrong with them. Knows the table's rows, not what any of them means.

use super::report::{Problem, Problems, Warning, shown};
use super::vars::Var;

/// One reading of the configuration.
pub(super) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    /// Begins a reading of what `lookup` knows.
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, problems: Vec::new(), warnings: Vec::new() }
    }

    /// The outcome: what was read, unless there are problems.
    pub(super) fn finish<T>(self, read: T) -> Result<(T, Vec<Warning>), Problems> {
        if self.problems.is_empty() { Ok((read, self.warnings)) } else { Err(Problems(self.problems)) }
    }

    /// The name under which the variable is set, and its value without surrounding blanks. A blank value counts as not set.
    pub(super) fn given_as(&self, var: &Var) -> Option<(&'static str, String)> {
        std::iter::once(&var.name).chain(var.aliases).find_map(|name| {
            let value = (self.lookup)(name)?;
            let value = value.trim();
            (!value.is_empty()).then(|| (*name, value.to_owned()))
        })
    }

    /// The value that is set.
    pub(super) fn given(&self, var: &Var) -> Option<String> {
        self.given_as(var).map(|(_, value)| value)
    }

    /// The value that is set, or the default; empty where there is neither.
    pub(super) fn text(&self, var: &Var) -> String {
        self.given(var).unwrap_or_else(|| var.default.to_owned())
    }

    /// What `parse` makes of the value or the default. A value it refuses becomes a problem, and `None`.
    pub(super) fn parsed<T>(&mut self, var: &Var, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text(var);
        if text.is_empty() {
            return None;
        }
        let value = parse(&text);
        if value.is_none() {
            self.refuse(var);
        }
        value
    }

    /// A whole number within `range`, from the value or the default; 0 after a problem.
    pub(super) fn number<T: TryFrom<u64> + Default>(&mut self, var: &Var, range: std::ops::RangeInclusive<u64>) -> T {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
        let parse = |text: &str| digits(text).filter(|n| range.contains(n)).and_then(|n| T::try_from(n).ok());
        self.parsed(var, parse).unwrap_or_default()
    }

    /// Every item of a comma list through `parse`. One that it refuses makes the variable a problem.
    pub(super) fn list<T>(&mut self, var: &Var, text: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let read: Option<Vec<T>> = items.map(parse).collect();
        read.unwrap_or_else(|| {
            self.refuse(var);
            Vec::new()
        })
    }

    /// The variable's value, or its lack, is not what the table says.
    pub(super) fn refuse(&mut self, var: &Var) {
        self.refuse_because(var, var.expected);
    }

    /// The variable's value, or its lack, is not what is said here.
    pub(super) fn refuse_because(&mut self, var: &Var, expected: &str) {
        let (name, value) = self.given_as(var).unzip();
        let variable = name.unwrap_or(var.name).to_owned();
        let shown = value.map(|v| shown(var, &v));
        self.problems.push(Problem { variable, shown, expected: expected.to_owned(), example: var.example });
    }

    /// Something to be said once at start.
    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.warnings.push(Warning(text.into()));
    }
}

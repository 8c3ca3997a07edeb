//! What was tried, and how it came out.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The table of what ran.
#[derive(Debug, Default)]
pub(super) struct Record {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    endpoint: String,
    field: String,
    case: String,
    outcome: String,
}

impl Record {
    pub(super) fn add(&mut self, endpoint: &str, field: &str, case: &str, outcome: &str) {
        let (endpoint, field) = (endpoint.to_owned(), field.to_owned());
        let (case, outcome) = (case.to_owned(), outcome.replace('\n', " "));
        self.rows.push(Row { endpoint, field, case, outcome });
    }

    /// The endpoints, as `PUT /vm`.
    pub(super) fn endpoints(&self) -> BTreeSet<String> {
        self.rows.iter().map(|row| row.endpoint.clone()).collect()
    }

    /// The fields, as `Vm.state`.
    pub(super) fn fields(&self) -> BTreeSet<String> {
        self.rows.iter().map(|row| row.field.clone()).filter(|field| !field.is_empty()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn table(&self) -> String {
        let mut table = String::new();
        for Row { endpoint, field, case, outcome } in &self.rows {
            let outcome: String = outcome.chars().take(110).collect();
            writeln!(table, "{endpoint:<38} {field:<42} {case:<22} {outcome}").unwrap();
        }
        table
    }
}

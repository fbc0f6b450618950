//! Filters and paging (API text 1.10 and 3.13).

use super::refusal::{Done, refuse};
use crate::cloud::cvm::wire::shapes::Filter;

/// The most filters of a request.
const MAX_FILTERS: usize = 10;
/// The most entries of a page.
const MAX_LIMIT: i64 = 100;
/// The entries of a page where no limit is given.
const DEFAULT_LIMIT: i64 = 20;

/// A filter that the action has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Asked {
    /// Its name.
    pub(crate) name: String,
    /// One of these.
    pub(crate) values: Vec<String>,
}

impl Asked {
    /// Whether a text is one of the values.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.values.iter().any(|value| value == text)
    }

    /// Whether a text contains one of the values (inferred: "fuzzy" is a substring match, whatever the case).
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.values.iter().any(|value| text.contains(&value.to_lowercase()))
    }
}

/// Checks filters against the names that the action knows; a name that ends in `:` stands for all that begin so.
pub(crate) fn parse(given: Option<Vec<Filter>>, known: &[&str], most_values: usize) -> Done<Vec<Asked>> {
    let given = given.unwrap_or_default();
    if given.len() > MAX_FILTERS {
        return refuse("InvalidFilterValue.LimitExceeded", format!("at most {MAX_FILTERS} filters are allowed"));
    }
    let mut asked = Vec::with_capacity(given.len());
    for Filter { name, values } in given {
        let (Some(name), Some(values)) = (name, values) else {
            return refuse("InvalidFilter", "a filter has a Name and Values");
        };
        let fits =
            |known: &&str| **known == name || (known.ends_with(':') && name.starts_with(*known) && name != **known);
        if !known.iter().any(fits) {
            return refuse("InvalidFilter", format!("`{name}` is not a filter of this action"));
        }
        if values.is_empty() {
            return refuse("InvalidFilter", format!("the filter `{name}` has no values"));
        }
        if values.len() > most_values {
            return refuse("InvalidFilterValue.LimitExceeded", format!("`{name}` takes at most {most_values} values"));
        }
        asked.push(Asked { name, values });
    }
    Ok(asked)
}

/// Offset and limit. Which code a wrong limit gets is unconfirmed (9.7).
pub(crate) fn page(offset: Option<i64>, limit: Option<i64>, code: &str) -> Done<(usize, usize)> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return refuse(code, format!("Limit is 1 to {MAX_LIMIT}"));
    }
    match (usize::try_from(offset.unwrap_or(0)), usize::try_from(limit)) {
        (Ok(offset), Ok(limit)) => Ok((offset, limit)),
        _ => refuse("InvalidParameterValue", "Offset is 0 or more"),
    }
}

/// The entries of one page.
pub(crate) fn cut<T>(all: Vec<T>, (offset, limit): (usize, usize)) -> Vec<T> {
    all.into_iter().skip(offset).take(limit).collect()
}

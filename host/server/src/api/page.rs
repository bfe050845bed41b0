//! Lists, part by part.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use http::request::Parts;
use jackfield_store::Page;
use serde_json::{Value, json};

use super::{Kind, Problem};
use crate::App;

const USUAL: u32 = 50;
const MOST: u32 = 200;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paging {
    pub(crate) limit: u32,
    pub(crate) cursor: Option<String>,
}

impl FromRequestParts<App> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Paging {
    fn parse(query: &str) -> Result<Self, Problem> {
        Self::with_filters(query, &[]).map(|(paging, _)| paging)
    }

    /// A list that can be asked for by other things too.
    pub(crate) fn with_filters(query: &str, filters: &[&str]) -> Result<(Self, BTreeMap<String, String>), Problem> {
        let (mut paging, mut found) = (Self { limit: USUAL, cursor: None }, BTreeMap::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "limit" => paging.limit = limit(&value)?,
                "cursor" => paging.cursor = Some(value.into_owned()),
                name if filters.contains(&name) => drop(found.insert(name.to_owned(), value.into_owned())),
                _ => {
                    let known = ["limit", "cursor"].iter().chain(filters).map(|name| format!("`{name}`"));
                    let known = known.collect::<Vec<_>>().join(", ");
                    let detail = format!("`{name}` is no parameter of this list; there are {known}");
                    return Err(Problem::new(Kind::Malformed, detail));
                }
            }
        }
        Ok((paging, found))
    }
}

fn limit(text: &str) -> Result<u32, Problem> {
    let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    limit.ok_or_else(|| Problem::new(Kind::Malformed, format!("`limit` is a number from 1 to {MOST}")))
}

/// A part of a list as JSON.
pub(crate) fn page<T>(page: &Page<T>, show: impl Fn(&T) -> Value) -> axum::Json<Value> {
    axum::Json(json!({ "items": page.items.iter().map(show).collect::<Vec<_>>(), "next": page.next }))
}

/// A short list, whole.
pub(crate) fn whole(items: Vec<Value>) -> axum::Json<Value> {
    axum::Json(json!({ "items": items, "next": null }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_list_is_asked_for_by_limit_and_cursor_and_nothing_else() {
        assert_eq!(Paging::parse("").unwrap(), Paging { limit: 50, cursor: None });
        assert_eq!(Paging::parse("cursor=a%2Bb&limit=200").unwrap(), Paging { limit: 200, cursor: Some("a+b".into()) });
        for odd in ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "page=2"] {
            assert!(Paging::parse(odd).is_err(), "{odd}");
        }
    }
}

//! What a STAC document on the web or on disk leads to: items in it, and links
//! to more.

use datacube_model::LocatedDocument;
use datacube_model::dataset::resolve_uri;
use serde_json::{Map, Value, json};
use url::Url;

use super::http::Request;
use super::place::Place;
use crate::{Error, Result};

/// What a document turned out to be.
#[derive(Debug)]
pub(crate) enum Opened {
    /// Something with no links to follow: an item, an EO3 document, anything.
    Document(LocatedDocument),
    /// A list of items, and where it goes on.
    Items {
        items: Vec<LocatedDocument>,
        next: Option<Request>,
    },
    /// Links to catalogues and items, and those that lead nowhere.
    Links {
        places: Vec<Place>,
        broken: Vec<(String, Error)>,
    },
    /// An API that can be searched.
    Search(Request),
}

/// Looks into a document.
///
/// `asked` is the request whose answer it is, where it is one. Links are taken
/// from where the document was read; those to itself are not trusted, for
/// catalogues are copied from place to place.
pub(crate) fn open(
    located: LocatedDocument,
    asked: Option<&Request>,
    search: &Map<String, Value>,
) -> Result<Opened> {
    let document = &located.document;
    match document["type"].as_str() {
        Some("FeatureCollection") if document["features"].is_array() => {
            let next = asked
                .and_then(|asked| next(document, asked).transpose())
                .transpose()?;
            Ok(Opened::Items {
                items: items(located),
                next,
            })
        }
        Some("Feature") => Ok(Opened::Document(located)),
        Some("Catalog" | "Collection") => links(&located, search),
        None if document["stac_version"].is_string() && document["links"].is_array() => {
            links(&located, search)
        }
        _ => Ok(Opened::Document(located)),
    }
}

/// The items of a document that is a list of them, else the document.
pub(crate) fn items_of(located: LocatedDocument) -> Vec<LocatedDocument> {
    match located.document["type"].as_str() {
        Some("FeatureCollection") => items(located),
        _ => vec![located],
    }
}

/// The items of a list, each where it says that it is, else as a part of the list.
fn items(located: LocatedDocument) -> Vec<LocatedDocument> {
    let LocatedDocument { uri, document, .. } = located;
    let Value::Object(mut map) = document else {
        return Vec::new();
    };
    let Some(Value::Array(features)) = map.shift_remove("features") else {
        return Vec::new();
    };
    features
        .into_iter()
        .enumerate()
        .map(|(index, item)| placed(item, &uri, index))
        .collect()
}

/// An item where it says that it is, else as a part of the list that it is in.
pub(super) fn placed(item: Value, list: &str, index: usize) -> LocatedDocument {
    let own = ["canonical", "self"]
        .iter()
        .find_map(|rel| link(&item, rel));
    let place = match own {
        Some(href) if href.contains("://") => href.to_owned(),
        _ => format!("{list}#part={index}"),
    };
    LocatedDocument::new(place, item)
}

/// The target of the first link of a kind.
fn link<'a>(document: &'a Value, rel: &str) -> Option<&'a str> {
    let links = document["links"].as_array()?;
    links.iter().find(|link| link["rel"] == rel)?["href"].as_str()
}

/// The next page of a search.
///
/// # Source
/// STAC API, item search, "Pagination": a link of `next` with `method`, `body`,
/// `merge` and `headers`.
fn next(document: &Value, asked: &Request) -> Result<Option<Request>> {
    let links = document["links"].as_array();
    let Some(link) = links.and_then(|links| links.iter().find(|link| link["rel"] == "next")) else {
        return Ok(None);
    };
    let Some(href) = link["href"].as_str() else {
        return Ok(None);
    };
    let url = asked
        .url
        .join(href)
        .map_err(|error| bad_link(asked.url.as_str(), href, &error))?;
    let post = link["method"]
        .as_str()
        .is_some_and(|method| method.eq_ignore_ascii_case("POST"));
    let mut headers = asked.headers.clone();
    headers.extend(link["headers"].as_object().cloned().unwrap_or_default());
    let body = post.then(|| {
        let own = link["body"].as_object().cloned().unwrap_or_default();
        match &asked.body {
            Some(Value::Object(before)) if link["merge"] == true => {
                let mut body = before.clone();
                body.extend(own);
                Value::Object(body)
            }
            _ => Value::Object(own),
        }
    });
    let request = Request { url, body, headers };
    // A server that sends us in circles ends the search.
    Ok((request != *asked).then_some(request))
}

fn bad_link(place: &str, href: &str, error: &dyn std::fmt::Display) -> Error {
    Error::File {
        path: place.to_owned(),
        problem: format!("its link `{href}` leads nowhere: {error}"),
    }
}

fn links(located: &LocatedDocument, search: &Map<String, Value>) -> Result<Opened> {
    let document = &located.document;
    let all = document["links"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if located.uri.starts_with("http")
        && let Some(link) = search_link(all)
    {
        return Ok(Opened::Search(search_request(&located.uri, link, search)?));
    }
    let has_items = all.iter().any(|link| link["rel"] == "item");
    let wanted = |link: &&Value| match link["rel"].as_str() {
        Some("child" | "item") => true,
        // The items of a collection of an API.
        Some("items") => !has_items,
        _ => false,
    };
    let (mut places, mut broken) = (Vec::new(), Vec::new());
    for link in all.iter().filter(wanted) {
        let Some(href) = link["href"].as_str() else {
            continue;
        };
        let target = resolve_link(&located.uri, href);
        match Place::parse(&target) {
            // Whoever writes a catalogue must not make us read our own files.
            Ok(Place::Local(_)) if !located.uri.starts_with("file:") => {
                let problem = "it is a file of this machine, and the catalogue is elsewhere";
                broken.push((target, bad_link(&located.uri, href, &problem)));
            }
            Ok(place) => places.push(place),
            Err(error) => broken.push((target, bad_link(&located.uri, href, &error))),
        }
    }
    Ok(Opened::Links { places, broken })
}

/// The link to the search of an API: by POST where it has both.
fn search_link(links: &[Value]) -> Option<&Value> {
    let searches = || {
        links
            .iter()
            .filter(|link| link["rel"] == "search" && link["href"].is_string())
    };
    searches()
        .find(|link| {
            link["method"]
                .as_str()
                .is_some_and(|method| method.eq_ignore_ascii_case("POST"))
        })
        .or_else(|| searches().next())
}

fn search_request(place: &str, link: &Value, search: &Map<String, Value>) -> Result<Request> {
    let href = link["href"].as_str().unwrap_or_default();
    let base = Url::parse(place).map_err(|error| bad_link(place, href, &error))?;
    let mut url = base
        .join(href)
        .map_err(|error| bad_link(place, href, &error))?;
    let mut body = search.clone();
    body.entry("limit").or_insert_with(|| json!(100));
    let post = link["method"]
        .as_str()
        .is_some_and(|method| method.eq_ignore_ascii_case("POST"));
    if post {
        let mut request = Request::get(url);
        request.body = Some(Value::Object(body));
        return Ok(request);
    }
    {
        let mut query = url.query_pairs_mut();
        for (key, value) in &body {
            query.append_pair(key, &in_query(value));
        }
    }
    Ok(Request::get(url))
}

/// A value as it stands in the query of a GET: lists with commas, objects as JSON.
fn in_query(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(in_query).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// The target of a link in a document: a URL's rules on servers, a path's elsewhere.
pub(crate) fn resolve_link(base: &str, href: &str) -> String {
    let on_server = base.starts_with("http://") || base.starts_with("https://");
    if on_server
        && let Ok(base) = Url::parse(base)
        && let Ok(joined) = base.join(href)
    {
        return joined.into();
    }
    resolve_uri(base, href)
}

/// The links of a page for people, as servers list folders: to files and
/// folders below it.
pub(crate) fn listing(page: &str, base: &Url) -> Vec<Url> {
    let mut found: Vec<Url> = Vec::new();
    let lower = page.to_ascii_lowercase();
    let mut at = 0;
    while let Some(start) = lower[at..].find("href=") {
        let start = at + start + 5;
        at = start;
        let rest = &page[start..];
        let href = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => rest[1..].split(quote).next(),
            _ => rest.split([' ', '>']).next(),
        };
        let Some(href) = href else { continue };
        let href = href.replace("&amp;", "&");
        let Ok(url) = base.join(&href) else { continue };
        let below = url.origin() == base.origin()
            && url.path().starts_with(base.path())
            && url.path() != base.path()
            && url.query().is_none();
        let mut url = url;
        url.set_fragment(None);
        if below && !found.contains(&url) {
            found.push(url);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(uri: &str, document: Value) -> LocatedDocument {
        LocatedDocument::new(uri, document)
    }

    #[test]
    fn links_of_a_catalogue_start_where_it_was_read() {
        let catalogue = json!({"type": "Catalog", "stac_version": "1.0.0", "links": [
            {"rel": "self", "href": "https://elsewhere.org/catalog.json"}, {"rel": "root", "href": "./catalog.json"},
            {"rel": "child", "href": "./a/collection.json"}, {"rel": "item", "href": "../i.json"},
        ]});
        let check = |uri: &str, expected: [&str; 2]| match open(
            located(uri, catalogue.clone()),
            None,
            &Map::new(),
        ) {
            Ok(Opened::Links { places, broken }) => {
                assert!(broken.is_empty(), "{broken:?}");
                let expected = expected.map(|text| Place::parse(text).expect("a place"));
                assert_eq!(places, expected);
            }
            other => panic!("{other:?}"),
        };
        check(
            "file:///data/stac/catalog.json",
            ["file:///data/stac/a/collection.json", "file:///data/i.json"],
        );
        check(
            "s3://b/stac/catalog.json",
            ["s3://b/stac/a/collection.json", "s3://b/i.json"],
        );
        check(
            "http://h:8/stac/catalog.json",
            ["http://h:8/stac/a/collection.json", "http://h:8/i.json"],
        );
    }

    #[test]
    fn links_that_lead_nowhere_are_told_and_the_others_followed() {
        let link = |href: &str| json!({"rel": "item", "href": href});
        let links = [
            "./a.json",
            "/etc/passwd",
            "file:///etc/passwd",
            "ftp://h/x.json",
        ]
        .map(link);
        let catalogue = json!({"type": "Catalog", "stac_version": "1.0.0", "links": links});
        match open(located("s3://b/catalog.json", catalogue), None, &Map::new()) {
            Ok(Opened::Links { places, broken }) => {
                assert_eq!(places, [Place::parse("s3://b/a.json").expect("a place")]);
                assert_eq!(broken.len(), 3, "{broken:?}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pages_follow_by_get_and_by_post() {
        let mut asked = Request::get(Url::parse("http://h/search").expect("a URL"));
        asked.body = Some(json!({"collections": ["a"], "limit": 2}));
        let page =
            |link: Value| json!({"type": "FeatureCollection", "features": [], "links": [link]});
        let found = |link: Value| next(&page(link), &asked).expect("a link");
        let post = found(json!({"rel": "next", "href": "/search", "method": "POST", "merge": true, "body": {"token": "t"}})).expect("more");
        assert_eq!(
            post.body,
            Some(json!({"collections": ["a"], "limit": 2, "token": "t"}))
        );
        let get = found(json!({"rel": "next", "href": "http://h/search?token=t"})).expect("more");
        assert_eq!((get.body, get.url.query()), (None, Some("token=t")));
        // The same request again would never end.
        let same = json!({"rel": "next", "href": "/search", "method": "POST", "body": {"collections": ["a"], "limit": 2}});
        assert_eq!(found(same), None);
    }

    #[test]
    fn searches_are_asked_in_the_way_the_api_takes() {
        let search: Map<String, Value> = [
            ("collections".to_owned(), json!(["a", "b"])),
            ("bbox".to_owned(), json!([1, 2, 3, 4])),
        ]
        .into_iter()
        .collect();
        let landing = |links: Value| {
            located(
                "http://h/v1/",
                json!({"type": "Catalog", "stac_version": "1.0.0", "links": links}),
            )
        };
        let get = json!({"rel": "search", "href": "search", "method": "GET"});
        let post = json!({"rel": "search", "href": "search", "method": "POST"});
        match open(landing(json!([get, post])), None, &search) {
            Ok(Opened::Search(request)) => {
                assert_eq!(
                    request.body,
                    Some(json!({"collections": ["a", "b"], "bbox": [1, 2, 3, 4], "limit": 100}))
                );
                assert_eq!(request.url.as_str(), "http://h/v1/search");
            }
            other => panic!("{other:?}"),
        }
        match open(landing(json!([get])), None, &search) {
            Ok(Opened::Search(request)) => assert_eq!(
                request.url.query(),
                Some("collections=a%2Cb&bbox=1%2C2%2C3%2C4&limit=100")
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn listings_lead_downwards_only() {
        let base = Url::parse("http://h/data/").expect("a URL");
        let page = r#"<a href="../">up</a> <A HREF='a/'>a</A> <a href="b.odc-metadata.yaml">b</a>
            <a href="?C=N">sort</a> <a href="http://other/data/c.json">c</a> <a href=a/>again</a>"#;
        let found: Vec<String> = listing(page, &base).into_iter().map(Into::into).collect();
        assert_eq!(
            found,
            ["http://h/data/a/", "http://h/data/b.odc-metadata.yaml"]
        );
    }
}

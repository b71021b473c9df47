//! A page around its sections.

use std::fmt::Write;

use crate::feed::View;
use datacube_compute::repr::escape;

use crate::sections::PAGES;

/// The page called `name`; `None` if there is none.
pub(crate) fn page(name: &str, view: &View) -> Option<String> {
    let (_, title, sections) = PAGES.iter().find(|(page, ..)| *page == name)?;
    let cluster = escape(&view.snapshot.name);
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title} · LocalCluster {cluster}</title><link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"style.css\">\
         <noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript></head>\
         <body data-page=\"{name}\"><header><strong>datacube</strong><span class=\"cluster\">LocalCluster {cluster}</span><nav>"
    );
    for (page, title, _) in PAGES {
        let current = if *page == name {
            " aria-current=\"page\""
        } else {
            ""
        };
        let _ = write!(out, "<a href=\"{page}\"{current}>{title}</a>");
    }
    out.push_str(
        "</nav><span id=\"live\" role=\"status\">updated when loaded</span></header><main>",
    );
    for (id, title, section) in *sections {
        let heading = if title.is_empty() {
            String::new()
        } else {
            format!("<h2>{title}</h2>")
        };
        let _ = write!(
            out,
            "<section>{heading}<div id=\"{id}\">{}</div></section>",
            section(view)
        );
    }
    out.push_str("</main><script src=\"app.js\" defer></script></body></html>");
    Some(out)
}

/// The sections of a page that changed since `seen`, by id.
pub(crate) fn changes(
    name: &str,
    view: &View,
    seen: &mut std::collections::HashMap<&'static str, String>,
) -> Option<serde_json::Map<String, serde_json::Value>> {
    let (_, _, sections) = PAGES.iter().find(|(page, ..)| *page == name)?;
    let mut changed = serde_json::Map::new();
    for (id, _, section) in *sections {
        let html = section(view);
        if seen.get(id) != Some(&html) {
            changed.insert((*id).to_owned(), html.clone().into());
            seen.insert(id, html);
        }
    }
    Some(changed)
}

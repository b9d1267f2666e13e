//! Links between pages: each leads to a file, and to a heading of it.

use std::fs;
use std::path::{Path, PathBuf};

use super::prose::{pages, prose_lines};

/// A link to a file of the project.
struct PageLink {
    target: PathBuf,
    anchor: Option<String>,
}

/// The links of a page that lead into the project.
fn links(page: &Path, text: &str) -> Vec<PageLink> {
    let mut links = Vec::new();
    for part in text.split("](").skip(1) {
        let Some((link, _)) = part.split_once(')') else {
            continue;
        };
        if link.contains("://") {
            continue;
        }
        let (file, anchor) = match link.split_once('#') {
            Some((file, anchor)) => (file, Some(anchor.to_owned())),
            None => (link, None),
        };
        let folder = page.parent().unwrap_or(Path::new(""));
        let target = match file {
            "" => page.to_owned(),
            file => folder.join(file),
        };
        links.push(PageLink { target, anchor });
    }
    links
}

/// The anchor of a heading, by GitHub's rules.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The anchors of a page's headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose_lines(text).filter_map(|(_, line)| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then(|| anchor(heading.trim()))
    });
    headings.collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page is readable");
        for link in links(&page, &text) {
            let there = match &link.anchor {
                Some(anchor) => fs::read_to_string(&link.target)
                    .is_ok_and(|target| anchors(&target).contains(anchor)),
                None => link.target.exists(),
            };
            if !there {
                let anchor = link.anchor.unwrap_or_default();
                broken.push(format!(
                    "{}: {}#{anchor}",
                    page.display(),
                    link.target.display()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn links_and_anchors_are_found() {
    let page = Path::new("docs/a.md");
    let found = links(page, "See [b](b.md#c-d), [e](#f) and [g](https://g).");
    let found: Vec<_> = found
        .iter()
        .map(|link| (link.target.to_str(), link.anchor.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            (Some("docs/b.md"), Some("c-d")),
            (Some("docs/a.md"), Some("f"))
        ]
    );
    assert_eq!(
        anchors("# Top\n\n### count, `hist`\n"),
        ["top", "count-hist"]
    );
}

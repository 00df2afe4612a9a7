//! A document of texts that are all escaped.

use std::fmt::Write as _;

/// No script and no resource of others, in whatever opens it.
const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
body { margin: 0 auto; padding: 1rem; max-width: 62rem; font: 1rem/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; } h2 { margin-top: 1.6rem; font-size: 1.1rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.2rem 1rem; }
dd { margin: 0; }
pre { padding: 0.75rem; border: 1px solid; border-radius: 0.4rem; overflow-x: auto; font-size: 0.8125rem; }
svg { width: 100%; height: 9rem; overflow: visible; }
polyline { fill: none; stroke: currentColor; stroke-width: 2; vector-effect: non-scaling-stroke; }
polyline.target { stroke-dasharray: 4 4; }
</style>
"#;

#[derive(Debug)]
pub(super) struct Page {
    html: String,
}

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let title = escape(title);
        Self {
            html: format!("{HEAD}<title>{title}</title>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"),
        }
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.element("h2", text);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.element("p", text);
    }

    pub(super) fn preformatted(&mut self, text: &str) {
        // The parser takes the first newline away.
        self.element("pre", &format!("\n{text}"));
    }

    pub(super) fn pairs(&mut self, pairs: &[(&str, &str)]) {
        self.html.push_str("<dl>\n");
        for (term, text) in pairs {
            self.element("dt", term);
            self.element("dd", text);
        }
        self.html.push_str("</dl>\n");
    }

    pub(super) fn list(&mut self, items: impl Iterator<Item = String>) {
        self.html.push_str("<ul>\n");
        items.for_each(|item| self.element("li", &item));
        self.html.push_str("</ul>\n");
    }

    /// A text that is shown when it is opened.
    pub(super) fn details(&mut self, summary: &str, text: &str) {
        self.html.push_str("<details>\n");
        self.element("summary", summary);
        self.preformatted(text);
        self.html.push_str("</details>\n");
    }

    /// Markup of our own, in which nothing is of others.
    pub(super) fn raw(&mut self, markup: &str) {
        self.html.push_str(markup);
    }

    pub(super) fn finish(self) -> String {
        self.html + "</main>\n</body>\n</html>\n"
    }

    fn element(&mut self, name: &str, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.html, "<{name}>{}</{name}>", escape(text));
    }
}

/// A text as text and nothing else: without markup, and without characters that hide or turn what is shown.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let hostile = "</pre><script>alert(1)</script><img src=x onerror='a'>\"&\u{202e}\u{1b}[2J\0";
        let mut page = Page::new(hostile);
        page.heading(hostile);
        page.text(hostile);
        page.preformatted(hostile);
        page.pairs(&[(hostile, hostile)]);
        page.list([hostile.to_owned()].into_iter());
        page.details(hostile, hostile);
        let html = page.finish();
        assert!(
            !html.contains("<script") && !html.contains("<img") && !html.contains("</pre><"),
            "{html}"
        );
        assert!(!html.contains(['\u{202e}', '\u{1b}', '\0']), "{html}");
        let shown =
            "&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=&#39;a&#39;&gt;&quot;&amp;[2J";
        // Twice of the title.
        assert_eq!(html.matches(shown).count(), 10, "{html}");
    }
}

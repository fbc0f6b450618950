//! The pages of codes: what is told about each at length. They are Markdown of the plainest kind: headings of the second
//! level, paragraphs, and examples between fences.

/// What a page tells of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// What it means.
    What,
    /// Why it is a fault.
    Why,
    /// How it is mended.
    WhatToDo,
    /// What it looks like.
    Example,
}

impl Part {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::What, Self::Why, Self::WhatToDo, Self::Example];

    /// The heading in the page.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::What => "What",
            Self::Why => "Why",
            Self::WhatToDo => "What to do",
            Self::Example => "Example",
        }
    }
}

/// A page: its parts, in their order, each as Markdown without its heading.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// The parts that there are.
    pub parts: Vec<(Part, &'static str)>,
}

impl Page {
    /// The page that a text holds. What stands below no known heading is no part.
    #[must_use]
    pub fn of(text: &'static str) -> Self {
        let mut parts = Vec::new();
        for section in text.split("## ").skip(1) {
            let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
            if let Some(part) = Part::ALL.into_iter().find(|part| part.heading() == heading.trim()) {
                parts.push((part, body.trim()));
            }
        }
        Self { parts }
    }

    /// The text of one part.
    #[must_use]
    pub fn part(&self, wanted: Part) -> Option<&'static str> {
        self.parts.iter().find(|(part, _)| *part == wanted).map(|(_, text)| *text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::codes;

    #[test]
    fn every_code_has_a_page_in_order() {
        for code in codes::ALL {
            let Page { parts } = code.page();
            let found: Vec<Part> = parts.iter().map(|(part, _)| *part).collect();
            let mut sorted = found.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(found, sorted, "{}: each part once, in their order", code.word);
            for part in [Part::What, Part::WhatToDo] {
                assert!(found.contains(&part), "{}: the page lacks `## {}`", code.word, part.heading());
            }
            for (part, text) in parts {
                let fences = text.matches("```").count();
                assert!(!text.is_empty() && fences % 2 == 0, "{}: {}", code.word, part.heading());
                assert!(text.ends_with(['.', '`']), "{}: {}: {text}", code.word, part.heading());
            }
        }
    }

    #[test]
    fn there_is_a_page_for_each_code_and_for_nothing_else() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/diagnostic/pages");
        let mut found: Vec<String> = std::fs::read_dir(dir)
            .expect("the pages")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        found.sort();
        let mut wanted: Vec<String> = codes::ALL.iter().map(|code| format!("{}.md", code.word)).collect();
        wanted.sort();
        assert_eq!(found, wanted);
    }
}

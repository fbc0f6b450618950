//! Names of instances and of their hosts, with the patterns that number them (API text 5.1).

use crate::cloud::embedded::catalogue::Content;
use crate::cloud::embedded::refusal::{Done, refuse};

const DEFAULT_NAME: &str = "未命名";
/// What stands for the private address in a host's name.
const ADDRESS: &str = "{IP}";

/// Rules of host names (5.1).
pub(crate) fn check_host_name(name: &str, content: &Content) -> Done<()> {
    let part = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && !text.contains("--")
    };
    let ends = |c: char| c == '-' || c == '.';
    let good = if content.is_windows() {
        (2..=15).contains(&name.len()) && part(name) && !name.chars().all(|c| c.is_ascii_digit())
    } else {
        (2..=60).contains(&name.len()) && name.split('.').all(part)
    };
    if good && !name.starts_with(ends) && !name.ends_with(ends) {
        return Ok(());
    }
    refuse("InvalidParameterValue.IllegalHostName", format!("`{name}` cannot be a host name"))
}

/// The host name of a launch as it is kept, with its patterns: as with names, several hosts are numbered where
/// nothing else tells them apart. The longest of them is checked.
pub(super) fn host_pattern(name: String, count: i64, content: &Content) -> Done<String> {
    let numbered = count == 1 || name.contains(ADDRESS) || numbered_name(&name, 0).is_some();
    let pattern = if numbered { name } else { format!("{name}{{R:1}}") };
    for (ordinal, address) in [(0, "10.0.0.1"), (count - 1, "10.255.255.255")] {
        check_host_name(&host_name(Some(&pattern), ordinal, address, content), content)?;
    }
    Ok(pattern)
}

/// What the host of the `ordinal`th instance of a launch is called. Without a name of its own it is made from the
/// last two parts of its private address; its form is assumed.
pub(super) fn host_name(pattern: Option<&str>, ordinal: i64, address: &str, content: &Content) -> String {
    let Some(pattern) = pattern else {
        let tail: Vec<&str> = address.rsplitn(3, '.').take(2).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        let host = format!("VM-{}", tail.join("-"));
        return if content.is_windows() { host } else { format!("{host}-{}", content.platform.to_lowercase()) };
    };
    let numbered = numbered_name(pattern, ordinal).unwrap_or_else(|| pattern.to_owned());
    numbered.replace(ADDRESS, &address.replace('.', "-"))
}

/// The names of a launch: patterns number them, else 1, 2, … is appended where there are several.
pub(super) fn names(name: Option<&str>, count: i64) -> Vec<String> {
    let Some(name) = name else { return (0..count).map(|_| DEFAULT_NAME.to_owned()).collect() };
    (0..count)
        .map(|n| match numbered_name(name, n) {
            Some(name) => name,
            None if count > 1 => format!("{name}{}", n + 1),
            None => name.to_owned(),
        })
        .collect()
}

/// The name of the `n`th instance, where there are patterns `{R:x}` or `{R:x,F:y}` in it.
fn numbered_name(name: &str, n: i64) -> Option<String> {
    let mut rest = name;
    let mut text = String::new();
    let mut found = false;
    while let Some(start) = rest.find("{R:") {
        let Some(length) = rest[start..].find('}') else { break };
        let inner = &rest[start + 3..start + length];
        let (first, width) = match inner.split_once(",F:") {
            Some((first, width)) => (first.parse::<i64>(), width.parse::<usize>().ok().filter(|width| *width <= 8)),
            None => (inner.parse::<i64>(), Some(0)),
        };
        text.push_str(&rest[..start]);
        match (first, width) {
            (Ok(first), Some(width)) if first >= 0 => {
                found = true;
                text.push_str(&format!("{:0width$}", first.saturating_add(n)));
            }
            _ => text.push_str(&rest[start..=start + length]),
        }
        rest = &rest[start + length + 1..];
    }
    text.push_str(rest);
    found.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::embedded::catalogue::PUBLIC_IMAGES;

    #[test]
    fn patterns_number_and_else_a_suffix_does() {
        assert_eq!(names(Some("web-{R:3}"), 2), ["web-3", "web-4"]);
        assert_eq!(names(Some("w{R:9,F:3}-{R:1}"), 2), ["w009-1", "w010-2"]);
        assert_eq!(names(Some("web"), 2), ["web1", "web2"]);
        assert_eq!(names(Some("web"), 1), ["web"]);
        assert_eq!(names(Some("{R:x}"), 1), ["{R:x}"]);
        assert_eq!(names(None, 2), [DEFAULT_NAME, DEFAULT_NAME]);
    }

    #[test]
    fn hosts_are_numbered_and_named_after_their_address() {
        let ubuntu = PUBLIC_IMAGES.iter().find(|image| image.platform == "Ubuntu").expect("Ubuntu").content();
        let windows = PUBLIC_IMAGES.iter().find(|image| image.platform == "Windows").expect("Windows").content();
        let of = |pattern: &str, count: i64, nth: i64| {
            let pattern = host_pattern(pattern.to_owned(), count, &ubuntu).expect("a host name");
            host_name(Some(&pattern), nth, "10.1.2.3", &ubuntu)
        };
        assert_eq!(of("web", 1, 0), "web");
        assert_eq!(of("web", 3, 2), "web3");
        assert_eq!(of("web-{R:7,F:3}.x", 3, 2), "web-009.x");
        assert_eq!(of("web-{IP}", 3, 2), "web-10-1-2-3");
        assert_eq!(host_name(None, 0, "10.1.2.3", &ubuntu), "VM-2-3-ubuntu");
        assert_eq!(host_name(None, 0, "10.1.255.255", &windows), "VM-255-255");
        assert!(host_pattern("web.local".to_owned(), 1, &windows).is_err());
        assert!(host_pattern("a-name-of-thirt".to_owned(), 1, &windows).is_ok());
        assert!(host_pattern("a-name-of-thirt".to_owned(), 2, &windows).is_err());
        for wrong in ["a", "-web", "web.", "we--b", "we..b", "we_b", &"w".repeat(61)] {
            assert!(host_pattern(wrong.to_owned(), 1, &ubuntu).is_err(), "{wrong}");
        }
    }
}

//! Where the real cloud is spoken to (API text 1.1).

use serde::{Deserialize, Serialize};

use super::ids::Region;

/// The domain of all public hosts.
const DOMAIN: &str = "tencentcloudapi.com";
/// How regions of the finance cloud end, which no other host serves.
const FINANCE: &str = "-fsi";

/// Which hosts are asked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The mainland site, by the host that leads to a near access point.
    #[default]
    Mainland,
    /// The mainland site, by the host of the region that is asked for: the shorter way from within that region.
    Regional,
    /// The international site, whose accounts are others.
    International,
    /// The finance cloud: only its own regions.
    Finance,
    /// A server of one's own.
    Own(Origin),
}

/// Scheme, host and port, as `http://127.0.0.1:8080`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(String);

impl Origin {
    /// Reads an origin; a `/` at its end counts for nothing. `None`: it is none, or more than one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let (scheme, authority) = text.split_once("://")?;
        if !matches!(scheme, "http" | "https") {
            return None;
        }
        // Brackets hold an address that is made of colons.
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                address.parse::<core::net::Ipv6Addr>().ok()?;
                (address, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:".contains(c);
        let right = !host.is_empty() && host.chars().all(plain) && port.is_none_or(|port| port.parse::<u16>().is_ok());
        right.then(|| Self(text.to_owned()))
    }

    /// As it was written, without a `/` at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of the vendor's own hosts: those are reached by their words, for each service has its own.
    #[must_use]
    pub fn is_the_vendors(&self) -> bool {
        let host = self.parts().1.split(':').next().unwrap_or_default();
        host == DOMAIN || host.strip_suffix(DOMAIN).is_some_and(|before| before.ends_with('.'))
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once("://").unwrap_or(("http", &self.0))
    }
}

impl Endpoint {
    /// The words that a config may say in place of an origin.
    pub const WORDS: [(&str, Self); 4] = [
        ("mainland", Self::Mainland),
        ("regional", Self::Regional),
        ("international", Self::International),
        ("finance", Self::Finance),
    ];

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        match self {
            Self::Mainland | Self::Regional | Self::International | Self::Finance => "https",
            Self::Own(origin) => origin.parts().0,
        }
    }

    /// The host of a service (`cvm`, `tag`), with its port where that is not the scheme's own, for a call to a region. Services
    /// without regions have one host a site.
    #[must_use]
    pub fn host(&self, service: &str, region: Option<&Region>) -> String {
        match (self, region) {
            (Self::Own(origin), _) => origin.parts().1.to_owned(),
            (Self::International, _) => format!("{service}.intl.{DOMAIN}"),
            (Self::Regional | Self::Finance, Some(region)) => format!("{service}.{region}.{DOMAIN}"),
            (Self::Mainland, Some(region)) if is_finance(region) => format!("{service}.{region}.{DOMAIN}"),
            (Self::Mainland | Self::Regional | Self::Finance, _) => format!("{service}.{DOMAIN}"),
        }
    }

    /// What a state and a lock file call it: ways to the same accounts bear one name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Mainland | Self::Regional | Self::Finance => "tencent",
            Self::International => "tencent-international",
            Self::Own(origin) => origin.as_str(),
        }
    }

    /// Whether it serves a region, as far as that is known beforehand.
    #[must_use]
    pub fn serves(&self, region: &Region) -> bool {
        match self {
            Self::Finance => is_finance(region),
            Self::Mainland | Self::Regional | Self::International | Self::Own(_) => true,
        }
    }
}

/// Whether a region is one of the finance cloud, which is apart from the others.
#[must_use]
pub fn is_finance(region: &Region) -> bool {
    region.as_str().ends_with(FINANCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(endpoint: &Endpoint, region: &str) -> [String; 2] {
        [endpoint.host("cvm", Some(&region.into())), endpoint.host("tag", None)]
    }

    #[test]
    fn hosts_are_those_of_the_api_text() {
        let finance = "ap-shanghai-fsi";
        for (endpoint, region, cvm, tag) in [
            (Endpoint::Mainland, "ap-guangzhou", "cvm.tencentcloudapi.com", "tag.tencentcloudapi.com"),
            (Endpoint::Mainland, finance, "cvm.ap-shanghai-fsi.tencentcloudapi.com", "tag.tencentcloudapi.com"),
            (Endpoint::Regional, "ap-guangzhou", "cvm.ap-guangzhou.tencentcloudapi.com", "tag.tencentcloudapi.com"),
            (Endpoint::International, "ap-tokyo", "cvm.intl.tencentcloudapi.com", "tag.intl.tencentcloudapi.com"),
            (Endpoint::Finance, finance, "cvm.ap-shanghai-fsi.tencentcloudapi.com", "tag.tencentcloudapi.com"),
        ] {
            assert_eq!(hosts(&endpoint, region), [cvm, tag]);
            assert_eq!(endpoint.scheme(), "https");
        }
        let own = Endpoint::Own(Origin::parse("http://127.0.0.1:8080/").expect("an origin"));
        assert_eq!(hosts(&own, "ap-guangzhou"), ["127.0.0.1:8080", "127.0.0.1:8080"]);
        assert_eq!((own.scheme(), own.name()), ("http", "http://127.0.0.1:8080"));
    }

    #[test]
    fn the_vendors_hosts_are_told_from_others() {
        let vendors = |text: &str| Origin::parse(text).is_some_and(|origin| origin.is_the_vendors());
        for text in ["https://cvm.tencentcloudapi.com", "https://cvm.ap-guangzhou.tencentcloudapi.com:443"] {
            assert!(vendors(text), "{text}");
        }
        for text in ["https://nottencentcloudapi.com", "https://tencentcloudapi.com.example.com", "http://127.0.0.1:80"]
        {
            assert!(!vendors(text), "{text}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_and_no_more() {
        for right in
            ["http://localhost", "https://cvm.example.com", "http://127.0.0.1:1", "http://[::1]:8080", "http://[::1]"]
        {
            assert!(Origin::parse(right).is_some(), "{right}");
        }
        for wrong in [
            "",
            "localhost:80",
            "ftp://x",
            "http://",
            "http://:80",
            "http://a b",
            "http://a:b",
            "http://a:99999",
            "http://a/path",
            "http://a//",
            "http://user@a",
            "http://a?x",
            "http://[::1",
            "http://[a]:1",
            "http://[::1]x",
            "http://UPPER",
        ] {
            assert_eq!(Origin::parse(wrong), None, "{wrong}");
        }
    }
}

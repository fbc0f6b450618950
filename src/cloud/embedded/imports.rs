//! Imports: which systems there are (API text 4.12 and 8.7), and what the name of a file tells of it.
//!
//! This cloud fetches nothing, so an address says all that there is to know:
//!
//! - It is a COS link, `https://<bucket>-<number>.cos.<region>.myqcloud.com/<path>`; what comes behind `?`, such as a
//!   signature, is passed over. Outside the mainland the bucket is in the region of the import, and finance regions
//!   take their own buckets only (8.7).
//! - The ending of the path is the format: `.raw`, `.vhd`, `.qcow2`, `.vmdk`, or `.iso`, which takes Force. Any other
//!   file fails with InvalidFormatSize.
//! - `size=NN`, behind the `?` or as a directory, is its virtual size in GiB; else it has 20, and 50 for Windows. Above
//!   500 GiB the import fails with InvalidFormatSize (8.7).
//! - A directory `sim` followed by one of [`REASONS`], as in `/sim/VirtioNotInstall/legacy.qcow2`, makes the import
//!   fail with that reason. `CloudInitNotInstalled` is a failure for Linux without Force; with Force the image is made
//!   without cloud-init.
//!
//! Reasons reach the owner by site message, not by the API (4.10): `cloud inspect` and
//! [`ImageHeld::error`](super::inspect::ImageHeld::error) tell them.

use crate::model::catalog;

/// Why an import can fail (4.10).
pub const REASONS: [&str; 7] = [
    "InvalidUrl",
    "InvalidFormatSize",
    "VirtioNotInstall",
    "PartitionNotPresent",
    "CloudInitNotInstalled",
    "RootPartitionNotFound",
    "InternalError",
];

/// The largest virtual size of a file (8.7).
pub const MAX_GIB: i64 = 500;

/// The architectures of a request (2.1).
pub const ARCHITECTURES: [&str; 3] = ["x86_64", "i386", "arm_64"];

/// A system that can be imported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct System {
    /// Its name in both lists. `Windows` stands for all its editions.
    pub name: &'static str,
    /// Its versions.
    pub versions: &'static [&'static str],
    /// Whether it runs on ARM too.
    pub arm: bool,
}

const fn system(name: &'static str, versions: &'static [&'static str], arm: bool) -> System {
    System { name, versions, arm }
}

/// Editions of Windows, as OsType names them.
pub const WINDOWS: [&str; 5] =
    ["Windows Server 2008", "Windows Server 2012", "Windows Server 2016", "Windows Server 2019", "Windows Server 2022"];

/// The entry of the version list that all of [`WINDOWS`] share.
pub const WINDOWS_VERSIONS: System = system("Windows", &["9"], false);

/// Linux and its like. Names are those of 4.12 and 8.7; of what only 8.7 names, and of what came after the vendor's
/// example, the versions are assumed.
pub const LINUX: &[System] = &[
    system("CentOS", &["5", "6", "7", "8"], true),
    system("Ubuntu", &["10", "12", "14", "16", "18", "20", "22", "24"], true),
    system("Debian", &["6", "7", "8", "9", "10", "11", "12"], true),
    system("OpenSUSE", &["11", "12", "15"], false),
    system("SUSE", &["10", "11", "12", "13", "15"], false),
    system("CoreOS", &["7"], false),
    system("FreeBSD", &["10", "11", "12", "13"], false),
    system("Kylin", &["V10"], true),
    system("UnionTech", &["20"], true),
    system("TencentOS", &["2", "3", "4"], true),
    system("Fedora", &["36", "37", "38", "39", "40"], true),
    system("CentOS Stream", &["8", "9"], true),
    system("AlmaLinux", &["8", "9"], true),
    system("Rocky Linux", &["8", "9"], true),
    system("Other Linux", &["8"], true),
];

impl System {
    /// Its architectures, in the words of a request.
    #[must_use]
    pub fn architectures(&self) -> &'static [&'static str] {
        if self.arm { &["x86_64", "i386", "arm_64"] } else { &["x86_64", "i386"] }
    }
}

/// The system that an OsType names.
pub(crate) fn find_system(os_type: &str) -> Option<&'static System> {
    if WINDOWS.contains(&os_type) {
        return Some(&WINDOWS_VERSIONS);
    }
    LINUX.iter().find(|system| system.name == os_type)
}

/// What the address of a file tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct File<'a> {
    /// The region of its bucket.
    pub(crate) region: &'a str,
    /// The ending of its name.
    pub(crate) format: &'a str,
    /// Its virtual size; `None`: not told. An unreadable one is 0.
    pub(crate) size_gib: Option<i64>,
    /// Why its import fails.
    pub(crate) reason: Option<&'static str>,
}

impl File<'_> {
    /// Whether it has one of the formats (8.7).
    pub(crate) fn is_disk(&self) -> bool {
        ["raw", "vhd", "qcow2", "vmdk", "iso"].contains(&self.format)
    }

    pub(crate) fn is_iso(&self) -> bool {
        self.format == "iso"
    }
}

/// Whether a text can be the name of a bucket: `<name>-<number>`.
pub(crate) fn is_bucket(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.rsplit_once('-').is_some_and(|(name, number)| {
        !name.is_empty() && name.chars().all(legal) && !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
    })
}

/// Reads the address of a file; `None`: it is no COS link.
pub(crate) fn read(url: &str) -> Option<File<'_>> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let (host, rest) = rest.split_once('/')?;
    let (bucket, region) = host.strip_suffix(".myqcloud.com")?.split_once(".cos.")?;
    let good = is_bucket(bucket) && catalog::find_region(region).is_some();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !good || path.is_empty() || url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return None;
    }
    let parts: Vec<&str> = path.split('/').collect();
    let (file, directories) = parts.split_last()?;
    let (stem, format) = file.rsplit_once('.').unwrap_or((file, ""));
    if stem.is_empty() {
        return None;
    }
    let marked = directories.windows(2).find(|pair| pair[0] == "sim").map(|pair| pair[1]);
    let size = query.split('&').chain(directories.iter().copied()).find_map(|pair| pair.strip_prefix("size="));
    Some(File {
        region,
        format,
        size_gib: size.map(|text| text.parse().unwrap_or(0)),
        reason: marked.and_then(|marked| REASONS.into_iter().find(|reason| *reason == marked)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_what_is_in_the_file() {
        let base = "https://bucket-1250000000.cos.ap-guangzhou.myqcloud.com";
        let url = format!("{base}/a/sim/VirtioNotInstall/legacy.qcow2?sign=x&size=80");
        let file = read(&url).expect("a file");
        assert_eq!((file.region, file.format, file.size_gib), ("ap-guangzhou", "qcow2", Some(80)));
        assert_eq!(file.reason, Some("VirtioNotInstall"));
        assert!(read(&format!("{base}/x.iso")).is_some_and(|file| file.is_iso() && file.reason.is_none()));
        assert!(read(&format!("{base}/size=80/x.raw")).is_some_and(|file| file.size_gib == Some(80)));
        assert!(read(&format!("{base}/x.tar")).is_some_and(|file| !file.is_disk()));
        assert!(read(&format!("{base}/sim/NoReason/x.raw?size=big")).is_some_and(|file| file.size_gib == Some(0)));
        for wrong in [
            "",
            "legacy.qcow2",
            "ftp://bucket-1.cos.ap-guangzhou.myqcloud.com/x.raw",
            "https://example.com/x.raw",
            "https://bucket.cos.ap-guangzhou.myqcloud.com/x.raw",
            "https://bucket-1.cos.ap-mars.myqcloud.com/x.raw",
            "https://bucket-1.cos.ap-guangzhou.myqcloud.com/",
            "https://bucket-1.cos.ap-guangzhou.myqcloud.com/a b.raw",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn each_system_is_there_once() {
        let names: std::collections::BTreeSet<_> = LINUX.iter().map(|system| system.name).collect();
        assert_eq!(names.len(), LINUX.len());
        assert_eq!(find_system("Windows Server 2016").map(|system| system.name), Some("Windows"));
        assert_eq!(find_system("Windows"), None);
    }
}

//! The only I/O of the config: reading a directory.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;

use super::ConfigFiles;
use super::parse::MAX_BYTES;
use crate::diagnostic::{Diagnostic, codes, visible};

/// Reads the config of a directory: all its `*.yaml`, in the order of their names. `shown` is how the user wrote the
/// directory; messages name the files below it that way.
///
/// # Errors
/// Where there is no such directory. What is wrong with single files is in [`ConfigFiles::faults`].
pub fn read_dir(dir: &Path, shown: &str) -> Result<ConfigFiles<'static>, Box<Diagnostic>> {
    let shown = &*visible(shown);
    let entries = fs::read_dir(dir).map_err(|error| no_directory(dir, shown, &error))?;
    let mut names = Vec::new();
    let mut faults = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => names.push(entry.file_name()),
            Err(error) => faults.push(unreadable(shown, &error.to_string())),
        }
    }
    names.sort();
    let mut yaml = Vec::new();
    for name in names {
        let path = dir.join(&name);
        let Some(name) = name.to_str() else {
            let name = visible(&name.to_string_lossy());
            if name.ends_with(".yaml") {
                faults.push(unreadable(&name, "its name is not UTF-8"));
            }
            continue;
        };
        let shown = match (shown, visible(name)) {
            ("" | ".", name) => name,
            (dir, name) => format!("{}/{name}", dir.trim_end_matches('/')),
        };
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if name.ends_with(".yaml") {
                faults.push(
                    Diagnostic::warning(
                        codes::NOT_READ,
                        format!("`{shown}` is a directory, and what is in it is not read"),
                    )
                    .why("a config is all *.yaml files of one directory, not of those below it")
                    .help("rename the directory, or move its files up"),
                );
            }
            continue;
        }
        if name.ends_with(".yml") {
            faults.push(
                Diagnostic::warning(codes::NOT_READ, format!("`{shown}` is not read"))
                    .why("a config is made of *.yaml files")
                    .help("rename it to .yaml, or move it out of the directory"),
            );
        }
        if name.ends_with(".yaml") {
            match read_start(&path) {
                Ok(bytes) => yaml.push((shown, bytes)),
                Err(reason) => faults.push(unreadable(&shown, &reason)),
            }
        }
    }
    let root = dir.to_path_buf();
    let environments = environments(dir, &mut faults);
    Ok(ConfigFiles { yaml, environments, faults, others: Box::new(move |path| read_below(&root, path)) })
}

/// Refuses a directory that is not there, or is something else.
///
/// # Errors
/// It is none that can be read.
pub fn expect_dir(dir: &Path, shown: &str) -> Result<(), Box<Diagnostic>> {
    fs::read_dir(dir).map(drop).map_err(|error| no_directory(dir, &visible(shown), &error))
}

fn no_directory(dir: &Path, shown: &str, error: &std::io::Error) -> Box<Diagnostic> {
    if dir.is_file() {
        let fault = Diagnostic::error(codes::NO_CONFIG, format!("`{shown}` is a file, not a directory"))
            .why("a config is all *.yaml of a directory")
            .help("name the directory that it lies in with -C");
        return Box::new(fault);
    }
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        let fault = Diagnostic::error(codes::UNREADABLE, format!("the directory `{shown}` cannot be read"))
            .why(error.to_string())
            .help("check its owner and its permissions, and those of the directories above it");
        return Box::new(fault);
    }
    let fault = Diagnostic::error(codes::NO_CONFIG, format!("the directory `{shown}` cannot be read"))
        .why(error.to_string())
        .help("run fleetwright in the config's directory, or name it with -C");
    Box::new(fault)
}

/// A file, as far as it can matter: one byte more than the largest that is taken.
fn read_start(path: &Path) -> Result<Vec<u8>, String> {
    let plain = |error: std::io::Error| error.to_string();
    if !fs::metadata(path).map_err(plain)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(plain)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(plain)?;
    Ok(bytes)
}

/// The environments that have a file, readable or not.
fn environments(dir: &Path, faults: &mut Vec<Diagnostic>) -> BTreeSet<String> {
    let entries = match fs::read_dir(dir.join("environments")) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() == std::io::ErrorKind::PermissionDenied {
                faults.push(unreadable("environments", &error.to_string()));
            }
            return BTreeSet::new();
        }
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned)).collect()
}

fn unreadable(shown: &str, reason: &str) -> Diagnostic {
    Diagnostic::error(codes::UNREADABLE, format!("`{shown}` cannot be read"))
        .why(reason)
        .help("a config is only used as a whole: make the file readable, or move it away")
}

/// A file below a directory, wherever links lead: not out of it, and to nothing but a file.
///
/// # Errors
/// It cannot be read, or is larger than anything that belongs to a config; why.
pub fn read_below(root: &Path, path: &str) -> Result<Vec<u8>, String> {
    let plain = |error: std::io::Error| error.to_string();
    let full = root.join(path).canonicalize().map_err(plain)?;
    if !full.starts_with(root.canonicalize().map_err(plain)?) {
        return Err("it is a link that leads out of the config's directory".to_owned());
    }
    let bytes = read_start(&full)?;
    if bytes.len() > MAX_BYTES {
        return Err("it is larger than 1 MiB".to_owned());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_by_name_and_without_what_lies_below() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("written");
        fs::create_dir(dir.path().join("sub")).expect("made");
        for name in ["b.yaml", "a.yaml", "c.yml", "sub/d.yaml", "run.sh", ".hidden.yaml"] {
            write(name, name);
        }
        let files = read_dir(dir.path(), "conf/").expect("read");
        let names: Vec<_> = files.yaml.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["conf/a.yaml", "conf/b.yaml"]);
        assert_eq!(files.faults.len(), 1);
        assert_eq!(files.faults[0].code, codes::NOT_READ);
        assert_eq!((files.others)("run.sh"), Ok(b"run.sh".to_vec()));
        assert!((files.others)("../../etc/passwd").is_err());
        assert!((files.others)("sub").is_err());
        let error = read_dir(&dir.path().join("a.yaml"), "a.yaml").err().expect("a file");
        assert!(error.message.contains("not a directory"));
        assert_eq!(read_dir(&dir.path().join("none"), "none").err().expect("nothing").code, codes::NO_CONFIG);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_does_not_lead_out() {
        let outside = tempfile::tempdir().expect("a directory");
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(outside.path().join("secret"), "x").expect("written");
        std::os::unix::fs::symlink(outside.path().join("secret"), dir.path().join("link")).expect("linked");
        let files = read_dir(dir.path(), ".").expect("read");
        assert!((files.others)("link").expect_err("outside").contains("leads out"));
    }
}

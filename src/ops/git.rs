//! The commit that is checked out where a config lies, read from the repository's own files: no git is run.

use std::fs;
use std::path::{Path, PathBuf};

/// How many references may point at each other; git itself allows five.
const MOST_POINTERS: usize = 5;

/// The commit that is checked out in the repository that `dir` lies in; whether the files are as they were committed is
/// not looked at. `None` where there is no repository, no commit yet, or what there is cannot be read.
pub(super) fn revision(dir: &Path) -> Option<String> {
    let dir = fs::canonicalize(dir).ok()?;
    let own = dir.ancestors().find_map(repository)?;
    // A worktree keeps its own HEAD, and shares branches with the repository that it belongs to.
    let common = match fs::read_to_string(own.join("commondir")) {
        Ok(path) => own.join(path.trim()),
        Err(_) => own.clone(),
    };
    let mut text = fs::read_to_string(own.join("HEAD")).ok()?;
    for _ in 0..MOST_POINTERS {
        let Some(name) = text.trim().strip_prefix("ref:").map(str::trim) else {
            return Some(text.trim().to_owned()).filter(|text| is_commit(text));
        };
        if !is_reference(name) {
            return None;
        }
        let loose = [&own, &common].into_iter().find_map(|place| fs::read_to_string(place.join(name)).ok());
        text = match loose {
            Some(text) => text,
            None => packed(&fs::read_to_string(common.join("packed-refs")).ok()?, name)?,
        };
    }
    None
}

/// Where the repository of a directory keeps what is its own: `.git` itself, or what a `.git` file points at.
fn repository(dir: &Path) -> Option<PathBuf> {
    let git = dir.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = fs::read_to_string(git).ok()?;
    Some(dir.join(text.strip_prefix("gitdir:")?.trim()))
}

/// The commit of a reference among the packed ones. Lines that begin with `#` or `^` speak of something else.
fn packed(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (commit, reference) = line.split_once(' ')?;
        (reference == name && !commit.starts_with(['#', '^'])).then(|| commit.to_owned())
    })
}

/// SHA-1 or SHA-256, as hexadecimal digits.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether it is a name below `refs/`, and no way out of there.
fn is_reference(name: &str) -> bool {
    name.starts_with("refs/") && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    struct Repo(tempfile::TempDir);

    impl Repo {
        fn new() -> Self {
            let repo = Self(tempfile::tempdir().expect("a directory"));
            fs::create_dir_all(repo.0.path().join("shop/prod")).expect("a directory");
            repo
        }

        fn write(&self, name: &str, text: &str) -> &Self {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("written");
            self
        }

        fn found(&self) -> Option<String> {
            revision(&self.0.path().join("shop/prod"))
        }
    }

    #[test]
    fn a_branch_is_followed_from_a_directory_below() {
        let repo = Repo::new();
        repo.write(".git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(repo.found(), None, "there is no commit yet");
        repo.write(".git/refs/heads/main", &format!("{ONE}\n"));
        assert_eq!(repo.found().as_deref(), Some(ONE));
    }

    #[test]
    fn a_detached_head_and_packed_references() {
        let repo = Repo::new();
        repo.write(".git/HEAD", &format!("{TWO}\n"));
        assert_eq!(repo.found().as_deref(), Some(TWO));
        let packed = format!(
            "# pack-refs with: peeled fully-peeled sorted \n{TWO} refs/heads/mainly\n{ONE} refs/heads/main\n^{TWO}\n"
        );
        repo.write(".git/HEAD", "ref: refs/heads/main\n").write(".git/packed-refs", &packed);
        assert_eq!(repo.found().as_deref(), Some(ONE));
        repo.write(".git/refs/heads/main", TWO);
        assert_eq!(repo.found().as_deref(), Some(TWO), "what is loose is newer than what is packed");
    }

    #[test]
    fn a_worktree_has_its_own_head_and_shares_branches() {
        let repo = Repo::new();
        repo.write("main/.git/HEAD", "ref: refs/heads/main\n")
            .write("main/.git/refs/heads/main", ONE)
            .write("main/.git/refs/heads/side", TWO)
            .write("main/.git/worktrees/shop/HEAD", "ref: refs/heads/side\n")
            .write("main/.git/worktrees/shop/commondir", "../..\n")
            .write("shop/.git", "gitdir: ../main/.git/worktrees/shop\n");
        assert_eq!(repo.found().as_deref(), Some(TWO));
        fs::remove_file(repo.0.path().join("main/.git/refs/heads/side")).expect("removed");
        repo.write("main/.git/packed-refs", &format!("{ONE} refs/heads/side\n"));
        assert_eq!(repo.found().as_deref(), Some(ONE));
    }

    #[test]
    fn what_is_no_repository_is_passed_over() {
        for (name, text) in [
            (".git/HEAD", "ref: refs/heads/main\n"),
            (".git/HEAD", "ref: ../../secret\n"),
            (".git/HEAD", "ref: refs/../../secret\n"),
            (".git/HEAD", "not a commit\n"),
            (".git/HEAD", ""),
            (".git", "something else\n"),
            (".git", "gitdir: ../nowhere\n"),
        ] {
            let repo = Repo::new();
            repo.write("secret", ONE).write(name, text);
            assert_eq!(repo.found(), None, "{name}: {text}");
        }
        let repo = Repo::new();
        repo.write(".git/HEAD", "ref: refs/heads/a\n")
            .write(".git/refs/heads/a", "ref: refs/heads/b\n")
            .write(".git/refs/heads/b", "ref: refs/heads/a\n");
        assert_eq!(repo.found(), None, "a circle ends");
    }
}

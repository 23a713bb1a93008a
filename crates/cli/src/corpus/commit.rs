//! The commit that is checked out, read from the files of a git repository.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use pellmell_scenario::scenario::Entry;

/// A commit given as a flag.
pub(super) fn named(hash: &str) -> Result<String, String> {
    if Entry::is_commit(hash) { Ok(hash.to_owned()) } else { Err("expected 7 to 64 hexadecimal digits".to_owned()) }
}

/// The commit of the repository that the working directory is in; `None` if it is in none, or if
/// nothing is committed.
pub(super) fn of_working_directory() -> Option<String> {
    let directory = std::env::current_dir().ok()?;
    let repository = directory.ancestors().find_map(repository_in)?;
    head_of(&repository).filter(|hash| Entry::is_commit(hash))
}

/// The folder with the files of a repository. In a second working tree `.git` is a file that names it.
fn repository_in(directory: &Path) -> Option<PathBuf> {
    let git = directory.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let named = read_to_string(git).ok()?;
    Some(directory.join(named.strip_prefix("gitdir:")?.trim()))
}

fn head_of(repository: &Path) -> Option<String> {
    let head = read_to_string(repository.join("HEAD")).ok()?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else { return Some(head.trim().to_owned()) };
    // A second working tree shares its branches with the first.
    let shared = read_to_string(repository.join("commondir")).map(|path| repository.join(path.trim())).ok();
    let shared = shared.as_deref().unwrap_or(repository);
    let loose = [repository, shared].into_iter().find_map(|folder| read_to_string(folder.join(reference)).ok());
    if let Some(hash) = loose {
        return Some(hash.trim().to_owned());
    }
    let packed = read_to_string(shared.join("packed-refs")).ok()?;
    let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(_, name)| *name == reference).map(|(hash, _)| hash.to_owned())
}

//! Files by what they are and not by their names, and writing them so that a crash leaves the old one.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{Failure, shown};

/// How the name of a file ends that is being written, before it becomes another one.
pub(super) const WRITTEN_TO: &str = ".pellmell-tmp";
/// What is longer is a circle.
const LINKS_MAX: u32 = 40;

/// What two names have in common if they are names of one file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity(Same);

#[cfg(unix)]
type Same = (u64, u64);
#[cfg(not(unix))]
type Same = PathBuf;

impl Identity {
    /// The identity of the file that a name leads to.
    #[cfg(unix)]
    pub(super) fn of(path: &Path) -> io::Result<Identity> {
        Ok(Identity::in_metadata(&fs::metadata(path)?))
    }

    #[cfg(unix)]
    fn in_metadata(found: &Metadata) -> Identity {
        use std::os::unix::fs::MetadataExt;
        Identity((found.dev(), found.ino()))
    }

    #[cfg(not(unix))]
    pub(super) fn of(path: &Path) -> io::Result<Identity> {
        path.canonicalize().map(Identity)
    }
}

/// What a file is that a verb writes.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// How it begins.
    pub(super) begins: &'static [&'static str],
}

pub(super) const TRACE: Kind = Kind { name: "a trace", begins: &["{\"format\":\"pellmell-trace\""] };
pub(super) const SHRUNK: Kind = Kind {
    name: "a shrunk scenario",
    begins: &["version = 1\nabout = \"Shrunk from ", "version = 1\nabout = 'Shrunk from "],
};
pub(super) const PAGE: Kind = Kind { name: "a page of a report", begins: &[pellmell_report::folder::BEGIN] };
pub(super) const EXPLAINED: Kind =
    Kind { name: "a scenario that explains a recording", begins: &["# Explains a recording."] };

/// Refuses to write to a file that is read, or in whose place something else than that kind would be lost.
pub(super) fn check_output(output: Option<&Path>, kind: &Kind, input: &Path) -> Result<(), Failure> {
    let Some(output) = output else { return Ok(()) };
    let refuse = |why: &str, help: &str| {
        let message = format!("{} {why}: it is not replaced", shown(output));
        Err(Failure::Input(format!("{message}\n  = help: {help}")))
    };
    // What is no file is written to and not replaced; what cannot be read is told when it is written.
    if !fs::metadata(output).is_ok_and(|found| found.is_file()) {
        return Ok(());
    }
    if matches!((Identity::of(output), Identity::of(input)), (Ok(one), Ok(other)) if one == other) {
        return refuse("is the file that is read", "write to another file");
    }
    match place(output) {
        Ok(Place::File(_)) if is_one(output, kind) == Some(false) => {
            refuse(&format!("is there and is not {}", kind.name), "remove it if it may go, or write to another file")
        }
        _ => Ok(()),
    }
}

/// Whether a file is of a kind; one that was cut off is as well. `None` if it cannot be read.
pub(super) fn is_one(path: &Path, kind: &Kind) -> Option<bool> {
    let mut begin = Vec::new();
    File::open(path).and_then(|file| file.take(256).read_to_end(&mut begin)).ok()?;
    let is_one = |known: &&str| known.as_bytes().starts_with(&begin) || begin.starts_with(known.as_bytes());
    Some(kind.begins.iter().any(is_one))
}

/// Removes a file that another run wrote and that nothing leads to any more.
pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    fs::remove_file(path).map_err(|error| {
        Failure::Io(format!("cannot remove {}: {error}\n  = help: remove it, and type the same again", shown(path)))
    })
}

/// Makes a folder, if it is not there yet.
pub(super) fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| {
        Failure::Io(format!("cannot make the folder {}: {error}\n  = help: name another folder", shown(path)))
    })
}

/// Writes a file whole or not at all. A link stays one, and the file it leads to is written; a device,
/// a pipe or an open file is written to as it is.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = place(path).and_then(|place| match place {
        Place::File(path) => replace(&path, text),
        Place::Stdout => io::stdout().write_all(text.as_bytes()),
        Place::Stderr => io::stderr().write_all(text.as_bytes()),
        Place::Open(path) => OpenOptions::new().append(true).open(path)?.write_all(text.as_bytes()),
    });
    written.map_err(|error| cannot_write(path, &error))
}

/// Writes a file that is not there yet, whole or not at all; `false` if one is there, which stays.
pub(super) fn create(path: &Path, text: &str) -> Result<bool, Failure> {
    let create = || {
        let temporary = Temporary::with(path, text)?;
        match fs::hard_link(&temporary.path, path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // There are file systems without links.
            Err(_) => File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes())),
        }
    };
    match create() {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(cannot_write(path, &error)),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Io(format!("cannot write {}: {error}\n  = help: name another file, or make room for it", shown(path)))
}

/// Where a name leads.
enum Place {
    /// A file, or nothing yet: it is replaced.
    File(PathBuf),
    /// What cannot be replaced: a device, a pipe, a file that some process has open.
    Open(PathBuf),
    Stdout,
    Stderr,
}

fn place(path: &Path) -> io::Result<Place> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match descriptor(&path).as_deref() {
            None => {}
            Some("1") => return Ok(Place::Stdout),
            Some("2") => return Ok(Place::Stderr),
            Some(_) => return Ok(Place::Open(path)),
        }
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Place::File(path)),
            Err(error) => return Err(error),
            Ok(found) if found.is_symlink() => {
                let target = fs::read_link(&path)?;
                path = path.parent().unwrap_or(Path::new("")).join(target);
            }
            Ok(found) if found.is_file() || found.is_dir() => return Ok(Place::File(path)),
            Ok(_) => return Ok(Place::Open(path)),
        }
    }
    Err(io::Error::other("too many links"))
}

/// The number of the open file that is called so, such as `/dev/fd/1`; that of another process has its
/// number there with a slash before it.
fn descriptor(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().ok()?;
    let number = path.file_name()?.to_str()?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let is_of_processes = folder.starts_with("/proc") && folder.ends_with("fd") || folder == Path::new("/dev/fd");
    if !is_number || !is_of_processes {
        return None;
    }
    let own = [format!("/proc/{}/fd", std::process::id()), "/dev/fd".to_owned()];
    let is_own = own.iter().any(|own| folder == Path::new(own));
    Some(if is_own { number.to_owned() } else { format!("/{number}") })
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let temporary = Temporary::with(path, text)?;
    if let Ok(old) = fs::metadata(path) {
        temporary.take_after(&old)?;
    }
    fs::rename(&temporary.path, path)
}

/// A file beside the one that it becomes, under a name that it alone has.
///
/// It is locked while it is written: of two processes that write one file, the second waits. What a
/// process that was killed has left of it, the next one takes.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn with(path: &Path, text: &str) -> io::Result<Temporary> {
        let mut name = path.as_os_str().to_owned();
        name.push(WRITTEN_TO);
        let path = PathBuf::from(name);
        let mut temporary = loop {
            let file = open(&path)?;
            lock(&file)?;
            // While this process waited, the other one gave the file its name.
            if is_called(&file, &path) {
                break Temporary { path, file };
            }
        };
        temporary.file.set_len(0)?;
        temporary.file.write_all(text.as_bytes())?;
        temporary.file.sync_all()?;
        Ok(temporary)
    }

    /// Gives it owner and mode of the file it replaces.
    #[cfg(unix)]
    fn take_after(&self, old: &Metadata) -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt, fchown};
        let own = self.file.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            // Only root may give a file away; who may write it keeps it.
            let _ = fchown(&self.file, Some(old.uid()), Some(old.gid()));
        }
        self.file.set_permissions(old.permissions())
    }

    #[cfg(not(unix))]
    fn take_after(&self, old: &Metadata) -> io::Result<()> {
        self.file.set_permissions(old.permissions())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What has not become another file goes; the lock is held until then.
        if is_called(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    // Whoever put a link or a pipe there did not mean it to be written.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().write(true).create(true).truncate(false).custom_flags(flags).open(path)
}

#[cfg(unix)]
fn lock(file: &File) -> io::Result<()> {
    use rustix::fs::{FlockOperation, flock};
    use rustix::io::{Errno, retry_on_intr};
    match retry_on_intr(|| flock(file, FlockOperation::LockExclusive)) {
        // There are file systems without locks.
        Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(unix)]
fn is_called(file: &File, path: &Path) -> bool {
    let (open, called) = (file.metadata(), fs::symlink_metadata(path));
    matches!((open, called), (Ok(open), Ok(called)) if Identity::in_metadata(&open) == Identity::in_metadata(&called))
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

#[cfg(not(unix))]
fn lock(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn is_called(_: &File, path: &Path) -> bool {
    path.exists()
}

//! What lies in the captures directory.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use understudy_captures::source::is_segment;

/// A segment in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// File name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its length.
    pub(crate) bytes: u64,
    /// When it was begun, by its name.
    pub(crate) began: SystemTime,
    /// When it was written to last.
    pub(crate) ended: SystemTime,
}

/// The segments in `dir`, not below it, in the order in which they were begun; one that `open` names is left out. A
/// directory that is not there has none.
pub(crate) fn segments(dir: &Path, open: Option<&Path>) -> io::Result<Vec<Kept>> {
    let mut kept = Vec::new();
    for (path, metadata) in files(dir)? {
        if !is_segment(&path) || open == Some(&*path) {
            continue;
        }
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned();
        let ended = metadata.modified()?;
        let began = name.get(..20).and_then(|digits| digits.parse().ok());
        let began = began.map_or(ended, |nanos| UNIX_EPOCH + Duration::from_nanos(nanos));
        kept.push(Kept { name, path, bytes: metadata.len(), began, ended });
    }
    kept.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(kept)
}

/// Bytes of all files in `dir` and below it; what lies there under two names counts once.
pub(crate) fn bytes_below(dir: &Path) -> io::Result<u64> {
    let mut known = BTreeSet::new();
    let mut folders = vec![dir.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for (path, metadata) in files(&folder)? {
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.nlink() == 1 || known.insert(metadata.ino()) {
                bytes += metadata.len();
            }
        }
    }
    Ok(bytes)
}

/// Names in `dir` that are still there when they are looked at.
pub(crate) fn files(dir: &Path) -> io::Result<Vec<(PathBuf, fs::Metadata)>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) => files.push((entry.path(), metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_come_in_order_and_links_count_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (second, len) in [(2, 10), (1, 20)] {
            let name = format!("{:020}-00-000000.ucap", second * 1_000_000_000_u64);
            fs::write(at(&name), vec![0; len]).unwrap();
        }
        fs::write(at("shipped.jsonl"), "12345").unwrap();
        fs::create_dir(at("frozen")).unwrap();
        let kept = segments(dir.path(), None).unwrap();
        assert_eq!(kept.iter().map(|k| k.bytes).collect::<Vec<_>>(), [20, 10]);
        assert_eq!(kept[0].began, UNIX_EPOCH + Duration::from_secs(1));
        fs::hard_link(&kept[0].path, at("frozen").join(&kept[0].name)).unwrap();
        assert_eq!(bytes_below(dir.path()).unwrap(), 35);
        assert_eq!(segments(dir.path(), Some(&kept[0].path)).unwrap(), kept[1..]);
        assert_eq!(segments(&at("none"), None).unwrap(), []);
    }
}

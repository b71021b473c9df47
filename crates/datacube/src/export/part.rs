//! A result while it is written: a folder beside its destination, which an
//! interrupted writer leaves behind and the next one can go on with.
//!
//! `ndvi.zarr` grows in `ndvi.zarr.part`: pixels in files of the format's own, and
//! a journal. The first line of the journal says which job this is, in full; each
//! further line names a block whose bytes were written before the line was. So
//! what a killed process was writing is not in the journal and is made again, and
//! nothing is trusted of which the sizes do not agree. The journal is locked for
//! as long as somebody writes.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{BufRead as _, BufReader, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::error::{Error, Result};

const JOURNAL: &str = "journal";
/// What is replaced, between being set aside and being removed.
const OLD: &str = "old";
/// Journals of another number are of another program.
const VERSION: u64 = 1;
/// Differences that are told at most.
const TOLD: usize = 5;

/// Where what is to become `path` is written.
pub fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".part");
    path.with_file_name(name)
}

/// The folder in which a result grows; see the module.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    folder: PathBuf,
    journal: Mutex<File>,
    /// Whether it stays when it is dropped unfinished.
    keep: bool,
}

impl Part {
    /// The part of `path`, for the job that `job` describes, and what the
    /// journal of an earlier run says; nothing unless it is to `resume`.
    ///
    /// # Errors
    /// [`Error::Busy`] while somebody writes it, [`Error::OtherJob`] if it was begun by
    /// another job, [`Error::Exists`] if a folder of its name is none of ours.
    pub(super) fn open(path: &Path, job: &Value, resume: bool) -> Result<(Part, Vec<Vec<u64>>)> {
        let folder = part_of(path);
        let failed = |action| Error::io(action, path);
        let mut journal = loop {
            match std::fs::create_dir(&folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(failed("create")(error));
                }
                _ => {}
            }
            let place = folder.join(JOURNAL);
            let journal = File::options()
                .read(true)
                .append(true)
                .create(true)
                .open(&place)
                .map_err(failed("create"))?;
            match journal.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Busy {
                        path: path.to_owned(),
                    });
                }
                // A file system without locks; who writes there has to take care.
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
                Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
            }
            // Whoever held the lock may have finished and removed the folder.
            if place.exists() {
                break journal;
            }
        };
        let mut part = Part {
            path: path.to_owned(),
            folder,
            journal: Mutex::new(journal.try_clone().map_err(failed("create"))?),
            keep: true,
        };
        part.put_back_old()?;
        let (begun, entries) = part.read(&mut journal)?;
        let entries = match begun {
            Some(begun) if resume => {
                let differences = differences(&begun, job);
                if !differences.is_empty() {
                    return Err(Error::OtherJob {
                        part: part.folder.clone(),
                        differences: tell(&differences),
                    });
                }
                entries
            }
            _ => {
                part.begin(&mut journal, job)?;
                Vec::new()
            }
        };
        part.keep = resume;
        Ok((part, entries))
    }

    /// A file or folder in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Notes that what `entry` stands for has been written.
    pub(super) fn note(&self, entry: &[u64]) -> Result<()> {
        let mut line = String::new();
        for number in entry {
            line.push_str(&number.to_string());
            line.push(' ');
        }
        line.push('\n');
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        journal
            .write_all(line.as_bytes())
            .map_err(Error::io("write the journal of", &self.path))
    }

    /// Moves `name`, which is complete, to the destination, in the place of what
    /// may be there if it is to `overwrite`; then the part goes.
    pub(super) fn commit(mut self, name: &str, overwrite: bool) -> Result<()> {
        let failed = || Error::io("write", &self.path);
        super::atomic::check_free(&self.path, overwrite)?;
        let new = self.join(name);
        if new.is_file() {
            move_file(&new, &self.path, overwrite)?;
        } else if self.path.symlink_metadata().is_err() {
            std::fs::rename(new, &self.path).map_err(failed())?;
        } else {
            // What is there is set aside first, so that it can be put back.
            let old = self.join(OLD);
            std::fs::rename(&self.path, &old).map_err(failed())?;
            if let Err(error) = std::fs::rename(new, &self.path) {
                std::fs::rename(&old, &self.path).map_err(failed())?;
                return Err(failed()(error));
            }
        }
        self.keep = false;
        Ok(())
    }

    /// Brings back what a process was replacing when it was killed.
    fn put_back_old(&self) -> Result<()> {
        let old = self.join(OLD);
        if old.symlink_metadata().is_ok() && self.path.symlink_metadata().is_err() {
            std::fs::rename(old, &self.path).map_err(Error::io("put back", &self.path))?;
        }
        Ok(())
    }

    /// The job that the journal is of, and its entries; cuts off a line that was
    /// being written. No job where the folder is new.
    fn read(&self, journal: &mut File) -> Result<(Option<Value>, Vec<Vec<u64>>)> {
        let failed = || Error::io("read the journal of", &self.path);
        journal.seek(SeekFrom::Start(0)).map_err(failed())?;
        let mut lines = BufReader::new(&mut *journal);
        let mut line = Vec::new();
        let mut whole = 0;
        let mut begun = None;
        let mut entries = Vec::new();
        loop {
            line.clear();
            let n = lines.read_until(b'\n', &mut line).map_err(failed())?;
            if line.last() != Some(&b'\n') {
                break;
            }
            if begun.is_none() {
                let Ok(header) = serde_json::from_slice::<Value>(&line) else {
                    break;
                };
                begun = Some(header);
            } else {
                let text = String::from_utf8_lossy(&line);
                let numbers: Result<Vec<u64>, _> =
                    text.split_whitespace().map(str::parse).collect();
                let Ok(numbers) = numbers else { break };
                entries.push(numbers);
            }
            whole += n as u64;
        }
        drop(lines);
        if begun.is_none() && self.has_other_files()? {
            if whole == 0 && journal.metadata().is_ok_and(|file| file.len() == 0) {
                std::fs::remove_file(self.join(JOURNAL)).map_err(failed())?;
            }
            return Err(Error::Exists {
                path: self.folder.clone(),
            });
        }
        if begun.is_some() {
            journal.set_len(whole).map_err(failed())?;
        }
        Ok((begun, entries))
    }

    /// Whether something is in the folder besides the journal.
    fn has_other_files(&self) -> Result<bool> {
        let failed = || Error::io("read", &self.folder);
        for entry in std::fs::read_dir(&self.folder).map_err(failed())? {
            if entry.map_err(failed())?.file_name() != JOURNAL {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Empties the folder and begins a journal.
    fn begin(&self, journal: &mut File, job: &Value) -> Result<()> {
        let failed = || Error::io("write the journal of", &self.path);
        journal.set_len(0).map_err(failed())?;
        for entry in std::fs::read_dir(&self.folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            if entry.file_name() == JOURNAL {
                continue;
            }
            let removed = match entry.file_type().map_err(failed())?.is_dir() {
                true => std::fs::remove_dir_all(entry.path()),
                false => std::fs::remove_file(entry.path()),
            };
            removed.map_err(Error::io("remove what was left of", &self.path))?;
        }
        let mut line = serde_json::to_vec(job).expect("JSON values can be written");
        line.push(b'\n');
        journal.write_all(&line).map_err(failed())
    }
}

/// Moves a file in one step; one that appeared at `to` meanwhile is kept, unless
/// it may be replaced.
fn move_file(from: &Path, to: &Path, overwrite: bool) -> Result<()> {
    if !overwrite {
        match std::fs::hard_link(from, to) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Error::Exists {
                    path: to.to_owned(),
                });
            }
            // A file system without links.
            Err(_) => {}
        }
    }
    std::fs::rename(from, to).map_err(Error::io("write", to))
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.keep {
            // Nobody can be told; who writes to the same place next removes it.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// What says which job a journal is of: the format, the program, what the pixels
/// are made of (`plan`), and how they are stored.
pub(super) fn job(format: &str, plan: Option<&str>, stored: Value) -> Value {
    serde_json::json!({
        "journal": VERSION,
        "format": format,
        "datacube": env!("CARGO_PKG_VERSION"),
        "plan": plan,
        "stored": stored,
    })
}

/// Paths at which two jobs differ, with what is there in each.
fn differences(begun: &Value, now: &Value) -> Vec<(String, Value, Value)> {
    let mut found = Vec::new();
    compare("", begun, now, &mut found);
    // That the pixels are made otherwise says least; it comes last.
    found.sort_by_key(|(path, ..)| path == "plan");
    found
}

fn compare(path: &str, begun: &Value, now: &Value, found: &mut Vec<(String, Value, Value)>) {
    let below = |name: &str| match path {
        "" | "stored" => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    match (begun, now) {
        (Value::Object(a), Value::Object(b)) => {
            let only_b = b.keys().filter(|name| !a.contains_key(*name));
            for name in a.keys().chain(only_b) {
                let (a, b) = (a.get(name), b.get(name));
                let none = Value::Null;
                compare(&below(name), a.unwrap_or(&none), b.unwrap_or(&none), found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push((path.to_owned(), a.clone(), b.clone())),
    }
}

fn tell(differences: &[(String, Value, Value)]) -> String {
    const LENGTH: usize = 60;
    let short = |value: &Value| {
        let text = value.to_string();
        match text.char_indices().nth(LENGTH) {
            Some((at, _)) => format!("{}...", &text[..at]),
            None => text,
        }
    };
    let mut told: Vec<String> = differences
        .iter()
        .take(TOLD)
        .map(|(path, begun, now)| match path.as_str() {
            "plan" => "its pixels were made by another plan".to_owned(),
            _ => format!("`{path}` was {} and is {}", short(begun), short(now)),
        })
        .collect();
    if differences.len() > TOLD {
        told.push(format!("and {} more", differences.len() - TOLD));
    }
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(path: &Path, resume: bool) -> Result<(Part, Vec<Vec<u64>>)> {
        Part::open(path, &job("test", Some("k"), json!({"shape": [3]})), resume)
    }

    #[test]
    fn what_was_noted_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zarr");
        let (part, entries) = open(&path, true).unwrap();
        assert!(entries.is_empty());
        part.note(&[1, 20]).unwrap();
        part.note(&[2, 0]).unwrap();
        let error = open(&path, true).unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error}");
        drop(part);
        // As if the process had been killed within a line.
        let journal = part_of(&path).join(JOURNAL);
        let mut file = File::options().append(true).open(&journal).unwrap();
        file.write_all(b"3 4").unwrap();
        let (part, entries) = open(&path, true).unwrap();
        assert_eq!(entries, [vec![1, 20], vec![2, 0]]);
        part.note(&[5, 6]).unwrap();
        drop(part);
        let (part, entries) = open(&path, true).unwrap();
        assert_eq!(entries, [vec![1, 20], vec![2, 0], vec![5, 6]]);
        std::fs::write(part.join("pixels"), "x").unwrap();
        drop(part);
        // Without `resume` it begins anew, and leaves nothing.
        let (part, entries) = open(&path, false).unwrap();
        assert!(entries.is_empty() && !part.join("pixels").exists());
        drop(part);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn another_job_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zarr");
        drop(open(&path, true).unwrap());
        let check = |plan: &str, stored: Value, words: &[&str]| {
            let error = Part::open(&path, &job("test", Some(plan), stored), true).unwrap_err();
            let text = error.to_string();
            for word in words {
                assert!(text.contains(word), "`{word}` is not in: {text}");
            }
        };
        check(
            "k",
            json!({"shape": [4]}),
            &["`shape` was [3] and is [4]", "a.zarr.part"],
        );
        check("l", json!({"shape": [3]}), &["another plan"]);
        check("k", json!({}), &["`shape` was [3] and is null"]);
        assert!(open(&path, true).is_ok(), "a refusal changes nothing");
    }

    #[test]
    fn a_folder_of_somebody_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tif");
        std::fs::create_dir(part_of(&path)).unwrap();
        std::fs::write(part_of(&path).join("diary"), "dear").unwrap();
        for resume in [true, false] {
            assert!(open(&path, resume).unwrap_err().is_exists());
        }
        assert!(part_of(&path).join("diary").exists());
    }

    #[test]
    fn what_was_being_replaced_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tif");
        let (part, _) = open(&path, true).unwrap();
        std::fs::write(part.join(OLD), "old").unwrap();
        drop(part);
        drop(open(&path, false).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    }
}

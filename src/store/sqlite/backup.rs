//! A copy of the whole data folder while a server works in it: the database as of one moment, and what its messages carry. Rows are not known here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tokio::task::spawn_blocking;

use super::Sqlite;
use super::attachments::{FOLDER, PART};
use super::errors::unavailable;
use super::open::{FILE, connect};
use crate::domain::error::StoreError;

/// What else a server needs of its data folder: the secret that it made itself, if it did.
const BESIDE: [&str; 1] = ["jwt-secret"];

/// What a backup has copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The size of the copied database, in bytes.
    pub database: u64,
    /// How many contents of attachments were copied.
    pub attachments: u64,
}

impl Sqlite {
    /// Copies the data folder into a new one, in which a server can be started; the folder above it must be there. `None` where there is no database.
    ///
    /// The database is copied as of one moment after the call, of whatever version it is, with every commit before that moment and no part of a later
    /// one; nobody waits for it. Attachments are copied after it, so that those of its messages are there, unless they are removed meanwhile.
    /// The copy is durable, and has its name only when it is whole.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the new folder is there already, one of its name with `.part` is left of a copy that was cut short, or it
    /// cannot be written.
    pub async fn back_up(data_dir: &Path, to: &Path) -> Result<Option<Copied>, StoreError> {
        let (from, to) = (data_dir.to_owned(), to.to_owned());
        spawn_blocking(move || back_up_now(&from, &to)).await.map_err(unavailable)?
    }
}

fn back_up_now(from: &Path, to: &Path) -> Result<Option<Copied>, StoreError> {
    let source = from.join(FILE);
    if !source.try_exists().map_err(unavailable)? {
        return Ok(None);
    }
    if to.try_exists().map_err(unavailable)? {
        return Err(taken(to));
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    make_folder(&part).map_err(|error| if error.kind() == ErrorKind::AlreadyExists { taken(&part) } else { unavailable(error) })?;
    let copied = copy_all(from, &source, &part).and_then(|copied| {
        fs::rename(&part, to).map_err(unavailable)?;
        let above = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        sync(above).map_err(unavailable)?;
        Ok(copied)
    });
    if copied.is_err() {
        // What cannot be removed says by its name what it is.
        let _ = fs::remove_dir_all(&part);
    }
    copied.map(Some)
}

fn taken(folder: &Path) -> StoreError {
    StoreError::Unavailable(format!("{} is there already; name a folder that is not", folder.display()).into())
}

fn copy_all(from: &Path, source: &Path, into: &Path) -> Result<Copied, StoreError> {
    let database = copy_database(&connect(source)?, &into.join(FILE))?;
    let attachments = copy_attachments(&from.join(FOLDER), &into.join(FOLDER)).map_err(unavailable)?;
    for name in BESIDE {
        copy_file(&from.join(name), &into.join(name)).map_err(unavailable)?;
    }
    sync(into).map_err(unavailable)?;
    Ok(Copied { database, attachments })
}

/// Answers the size of the copy.
fn copy_database(source: &Connection, copy: &Path) -> Result<u64, StoreError> {
    let name = copy.to_str().ok_or_else(|| StoreError::Unavailable("the name of the new folder is no UTF-8".into()))?;
    // Nobody else may read what people said. SQLite writes into an empty file, and leaves it to us to make that durable.
    let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(copy).map_err(unavailable)?;
    source.execute("VACUUM INTO ?1", [name])?;
    file.sync_all().map_err(unavailable)?;
    Ok(file.metadata().map_err(unavailable)?.len())
}

/// Copies the contents that are whole; answers how many. The folders in between have short names and no others in them.
fn copy_attachments(from: &Path, to: &Path) -> io::Result<u64> {
    let mut copied = 0;
    let Some(folders) = present(fs::read_dir(from))? else { return Ok(0) };
    make_folder(to)?;
    for folder in folders {
        let folder = folder?;
        let Some(contents) = present(fs::read_dir(folder.path()))? else { continue };
        let place = to.join(folder.file_name());
        make_folder(&place)?;
        for content in contents {
            let content = content?.path();
            if let (None, Some(name)) = (content.extension().filter(|e| *e == PART), content.file_name()) {
                copied += u64::from(copy_file(&content, &place.join(name))?);
            }
        }
        sync(&place)?;
    }
    sync(to)?;
    Ok(copied)
}

/// Copies a file with its mode; answers whether it was there.
fn copy_file(from: &Path, to: &Path) -> io::Result<bool> {
    if present(fs::copy(from, to))?.is_none() {
        return Ok(false);
    }
    File::open(to)?.sync_all()?;
    Ok(true)
}

/// What is there, or `None`.
fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(folder)
}

/// Makes the names in a folder durable.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

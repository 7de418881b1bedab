//! Attachments of the embedded store: their rows, and their contents as files in a folder beside the database.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::Sqlite;
use super::errors::unavailable;
use super::rows::{self, Cells, bounded};
use crate::domain::attachment::{Attachment, Attachments, Sink};
use crate::domain::error::StoreError;
use crate::domain::ids::{AttachmentId, EntryId, SessionId};
use crate::domain::time::Timestamp;

/// The folder's name in the data folder.
pub(super) const FOLDER: &str = "attachments";

/// How the name of a content ends that is not whole yet.
pub(super) const PART: &str = "part";

/// Where the content of an attachment is: in one of 256 folders, since ids are random.
fn place(data: &Path, id: &AttachmentId) -> PathBuf {
    // The id is ours, or was looked up: it holds nothing that a path could mean.
    let id = id.as_str();
    data.join(FOLDER).join(id.get(..2).unwrap_or(id)).join(id)
}

/// A content that is not whole yet, under a name of its own.
struct Part {
    file: File,
    part: PathBuf,
    whole: PathBuf,
}

#[async_trait]
impl Sink for Part {
    async fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(piece).await.map_err(unavailable)
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        self.file.flush().await.map_err(unavailable)?;
        self.file.sync_all().await.map_err(unavailable)?;
        fs::rename(&self.part, &self.whole).await.map_err(unavailable)?;
        // The new name is durable when its folder is.
        let folder = self.whole.parent().unwrap_or(&self.whole).to_owned();
        File::open(folder).await.map_err(unavailable)?.sync_all().await.map_err(unavailable)
    }
}

#[async_trait]
impl Attachments for Sqlite {
    async fn insert_attachment(&self, attachment: &Attachment) -> Result<(), StoreError> {
        let attachment = attachment.clone();
        self.writer.run(move |conn| insert(conn, &attachment)).await
    }

    async fn open_sink(&self, id: &AttachmentId) -> Result<Box<dyn Sink>, StoreError> {
        let whole = place(&self.folder, id);
        let folder = whole.parent().unwrap_or(&whole);
        fs::create_dir_all(folder).await.map_err(unavailable)?;
        let part = whole.with_extension(PART);
        // Nobody else may read what people sent.
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&part).await.map_err(unavailable)?;
        Ok(Box::new(Part { file, part, whole }))
    }

    async fn complete_attachment(&self, id: &AttachmentId, mime_type: &str, size: u64) -> Result<(), StoreError> {
        let (id, mime_type) = (id.clone(), mime_type.to_owned());
        let sql = "UPDATE attachments SET mime_type = ?2, size = ?3 WHERE id = ?1";
        self.writer.run(move |conn| Ok(conn.prepare_cached(sql)?.execute(params![id.as_str(), mime_type, bounded(size)]).map(drop)?)).await
    }

    async fn keep_attachment(&self, id: &AttachmentId) -> Result<(), StoreError> {
        let id = id.clone();
        let sql = "UPDATE attachments SET is_kept = 1 WHERE id = ?1";
        self.writer.run(move |conn| Ok(conn.prepare_cached(sql)?.execute([id.as_str()]).map(drop)?)).await
    }

    async fn find_attachment(&self, id: &AttachmentId) -> Result<Option<Attachment>, StoreError> {
        let id = id.clone();
        self.readers.run(move |conn| rows::find(conn, select_attachments!("WHERE id = ?1"), [id.as_str()], attachment)).await
    }

    async fn read_content(&self, id: &AttachmentId, from: u64, most: u32) -> Result<Vec<u8>, StoreError> {
        let mut file = File::open(place(&self.folder, id)).await.map_err(|e| StoreError::Corrupt(format!("attachment {id}: {e}")))?;
        file.seek(SeekFrom::Start(from)).await.map_err(unavailable)?;
        let mut piece = Vec::new();
        file.take(most.into()).read_to_end(&mut piece).await.map_err(unavailable)?;
        Ok(piece)
    }

    async fn list_attachments_of(&self, message: &EntryId) -> Result<Vec<Attachment>, StoreError> {
        let message = message.clone();
        let sql = select_attachments!("WHERE message = ?1 ORDER BY id");
        self.readers.run(move |conn| rows::list(conn, sql, [message.as_str()], attachment)).await
    }

    async fn list_unkept_attachments(&self, before: Timestamp, limit: u32) -> Result<Vec<Attachment>, StoreError> {
        let sql = select_attachments!("WHERE is_kept = 0 AND created_at < ?1 ORDER BY created_at, id LIMIT ?2");
        self.readers.run(move |conn| rows::list(conn, sql, params![before.0, limit], attachment)).await
    }

    async fn remove_attachment(&self, id: &AttachmentId) -> Result<(), StoreError> {
        let whole = place(&self.folder, id);
        // The row last: as long as it is there, somebody looks after the content.
        for file in [whole.with_extension(PART), whole] {
            match fs::remove_file(&file).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unavailable(error)),
                _ => {}
            }
        }
        let id = id.clone();
        self.writer
            .run(move |conn| Ok(conn.prepare_cached("DELETE FROM attachments WHERE id = ?1")?.execute([id.as_str()]).map(drop)?))
            .await
    }
}

fn insert(conn: &Connection, attachment: &Attachment) -> Result<(), StoreError> {
    let sql = "INSERT INTO attachments (id, session, message, name, mime_type, size, created_at, is_kept) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";
    conn.prepare_cached(sql)?.execute(params![
        attachment.id.as_str(),
        attachment.session.as_str(),
        attachment.message.as_str(),
        attachment.name,
        attachment.mime_type,
        bounded(attachment.size),
        attachment.created_at.0,
        attachment.is_kept,
    ])?;
    Ok(())
}

/// A query for attachments: the columns that [`attachment`] reads, then the rest of the statement.
macro_rules! select_attachments {
    ($rest:literal) => {
        concat!("SELECT id, session, message, name, mime_type, size, created_at, is_kept FROM attachments ", $rest)
    };
}
use select_attachments;

fn attachment(row: &Row<'_>) -> Result<Attachment, StoreError> {
    let cells = Cells { row, what: "attachment", id: row.get(0)? };
    Ok(Attachment {
        id: AttachmentId::stored(cells.id.clone()),
        session: SessionId::stored(cells.get::<Arc<str>>(1)?),
        message: EntryId::stored(cells.get::<Arc<str>>(2)?),
        name: cells.get(3)?,
        mime_type: cells.get(4)?,
        size: cells.get(5)?,
        created_at: Timestamp(cells.get(6)?),
        is_kept: cells.get(7)?,
    })
}

//! Attachments: their documents, and their contents in GridFS, whose files are named by the attachments' ids. Contents are written by the
//! driver's own stream, and read by their chunks, since that knows no ranges.

use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use futures_util::io::AsyncWriteExt;
use mongodb::gridfs::{GridFsBucket, GridFsUploadStream};
use mongodb::options::GridFsBucketOptions;
use mongodb::{Collection, Database, IndexModel};

use async_trait::async_trait;

use crate::domain::attachment::{Attachment, Attachments, Sink};
use crate::domain::error::StoreError;
use crate::domain::ids::{AttachmentId, EntryId, SessionId};
use crate::domain::time::Timestamp;

use super::documents::{id, moment, number};
use super::errors::duplicate_index;
use super::open::{index, partial};
use super::reader::Reader;
use super::{Mongo, limited};

/// The bucket's name: its collections are `attachments.files` and `attachments.chunks`.
const BUCKET: &str = "attachments";

/// How many bytes one chunk holds, but the last one of a content.
const CHUNK: u32 = 255 * 1_024;

/// Where attachments are.
pub(super) struct Shelf {
    documents: Collection<Document>,
    chunks: Collection<Document>,
    files: Collection<Document>,
    bucket: GridFsBucket,
}

impl Shelf {
    /// The attachments of a database.
    pub(super) fn of(database: &Database) -> Self {
        let options = GridFsBucketOptions::builder().bucket_name(BUCKET.to_owned()).chunk_size_bytes(CHUNK).build();
        Self {
            documents: database.collection("attachments"),
            chunks: database.collection("attachments.chunks"),
            files: database.collection("attachments.files"),
            bucket: database.gridfs_bucket(options),
        }
    }

    /// Builds what the attachments are found by.
    pub(super) async fn prepare(&self) -> Result<(), StoreError> {
        self.documents.create_indexes(indexes()).await?;
        // The driver builds this one only where the first content of all fills a chunk, and never later.
        self.chunks.create_index(index("files_id_1_n_1", doc! { "files_id": 1, "n": 1 })).await?;
        Ok(())
    }
}

fn indexes() -> Vec<IndexModel> {
    vec![
        index("attachments_message", doc! { "message": 1, "_id": 1 }),
        partial("attachments_unkept", doc! { "createdAt": 1, "_id": 1 }, doc! { "kept": false }),
    ]
}

/// A content on its way into GridFS. The driver removes its chunks when it is dropped unfinished.
struct Stream(GridFsUploadStream);

#[async_trait]
impl Sink for Stream {
    async fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        let written = async { self.0.write_all(piece).await.map_err(|e| StoreError::Unavailable(e.into())) };
        limited("write_content", written).await
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        limited("finish_content", async { self.0.close().await.map_err(|e| StoreError::Unavailable(e.into())) }).await
    }
}

#[async_trait]
impl Attachments for Mongo {
    async fn insert_attachment(&self, attachment: &Attachment) -> Result<(), StoreError> {
        limited("insert_attachment", async {
            match self.shelf.documents.insert_one(from_attachment(attachment)).await {
                Err(error) if duplicate_index(&error).is_none() => Err(error.into()),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn open_sink(&self, attachment: &AttachmentId) -> Result<Box<dyn Sink>, StoreError> {
        let opened = async {
            let stream = self.shelf.bucket.open_upload_stream(attachment.as_str()).id(id(attachment.as_str()));
            Ok(Box::new(Stream(stream.await?)) as Box<dyn Sink>)
        };
        limited("open_sink", opened).await
    }

    async fn complete_attachment(&self, attachment: &AttachmentId, mime_type: &str, size: u64) -> Result<(), StoreError> {
        self.change("complete_attachment", attachment, doc! { "mimeType": mime_type, "size": number(size) }).await
    }

    async fn keep_attachment(&self, attachment: &AttachmentId) -> Result<(), StoreError> {
        self.change("keep_attachment", attachment, doc! { "kept": true }).await
    }

    async fn find_attachment(&self, attachment: &AttachmentId) -> Result<Option<Attachment>, StoreError> {
        limited("find_attachment", async {
            let found = self.shelf.documents.find_one(doc! { "_id": id(attachment.as_str()) }).await?;
            found.as_ref().map(to_attachment).transpose()
        })
        .await
    }

    async fn read_content(&self, attachment: &AttachmentId, from: u64, most: u32) -> Result<Vec<u8>, StoreError> {
        limited("read_content", async {
            let chunk = from / u64::from(CHUNK);
            let wanted = doc! { "files_id": id(attachment.as_str()), "n": i64::try_from(chunk).unwrap_or(i64::MAX) };
            let Some(found) = self.shelf.chunks.find_one(wanted).await? else { return Ok(Vec::new()) };
            let Some(Bson::Binary(data)) = found.get("data") else {
                return Err(StoreError::Corrupt(format!("chunk {chunk} of attachment {attachment}")));
            };
            let begin = usize::try_from(from % u64::from(CHUNK)).unwrap_or(usize::MAX);
            Ok(data.bytes.iter().skip(begin).take(most as usize).copied().collect())
        })
        .await
    }

    async fn list_attachments_of(&self, message: &EntryId) -> Result<Vec<Attachment>, StoreError> {
        limited("list_attachments_of", async {
            let found = self.shelf.documents.find(doc! { "message": id(message.as_str()) }).sort(doc! { "_id": 1 });
            found.await?.try_collect::<Vec<_>>().await?.iter().map(to_attachment).collect()
        })
        .await
    }

    async fn list_unkept_attachments(&self, before: Timestamp, limit: u32) -> Result<Vec<Attachment>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new()); // To MongoDB a limit of 0 means none.
        }
        limited("list_unkept_attachments", async {
            let old = doc! { "kept": false, "createdAt": { "$lt": moment(before) } };
            let found = self.shelf.documents.find(old).sort(doc! { "createdAt": 1, "_id": 1 }).limit(i64::from(limit));
            found.await?.try_collect::<Vec<_>>().await?.iter().map(to_attachment).collect()
        })
        .await
    }

    async fn remove_attachment(&self, attachment: &AttachmentId) -> Result<(), StoreError> {
        limited("remove_attachment", async {
            let own = id(attachment.as_str());
            // The document last: as long as it is there, somebody looks after the content.
            self.shelf.files.delete_one(doc! { "_id": own.clone() }).await?;
            self.shelf.chunks.delete_many(doc! { "files_id": own.clone() }).await?;
            self.shelf.documents.delete_one(doc! { "_id": own }).await?;
            Ok(())
        })
        .await
    }
}

impl Mongo {
    async fn change(&self, what: &'static str, attachment: &AttachmentId, set: Document) -> Result<(), StoreError> {
        limited(what, async {
            self.shelf.documents.update_one(doc! { "_id": id(attachment.as_str()) }, doc! { "$set": set }).await?;
            Ok(())
        })
        .await
    }
}

fn from_attachment(attachment: &Attachment) -> Document {
    doc! {
        "_id": id(attachment.id.as_str()),
        "sessionId": id(attachment.session.as_str()),
        "message": id(attachment.message.as_str()),
        "name": &*attachment.name,
        "mimeType": &*attachment.mime_type,
        "size": number(attachment.size),
        "createdAt": moment(attachment.created_at),
        "kept": attachment.is_kept,
    }
}

fn to_attachment(document: &Document) -> Result<Attachment, StoreError> {
    let read = Reader::new("attachment", document);
    Ok(Attachment {
        id: AttachmentId::stored(read.id("_id")?),
        session: SessionId::stored(read.id("sessionId")?),
        message: EntryId::stored(read.id("message")?),
        name: read.text("name")?.into(),
        mime_type: read.text("mimeType")?.into(),
        size: read.number("size")?,
        created_at: read.moment("createdAt")?,
        is_kept: read.flag_or("kept", false)?,
    })
}

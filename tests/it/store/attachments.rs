//! Attachments: their records, their contents in pieces, and what goes with them.

use helpline::domain::attachment::Attachment;
use helpline::domain::ids::AttachmentId;

use super::*;

fn attachment(ms: i64) -> Attachment {
    Attachment {
        id: AttachmentId::random(),
        session: SessionId::random(),
        message: EntryId::random(),
        name: "$报告 \"😀\".pdf".into(),
        mime_type: "application/octet-stream".into(),
        size: 0,
        created_at: at(ms),
        is_kept: false,
    }
}

async fn kept(store: &dyn Store, ms: i64) -> Attachment {
    let attachment = attachment(ms);
    store.insert_attachment(&attachment).await.unwrap();
    store.insert_attachment(&attachment).await.unwrap();
    attachment
}

/// All of a content, read in pieces of at most so many bytes.
async fn content(store: &dyn Store, id: &AttachmentId, most: u32) -> Vec<u8> {
    let mut read = Vec::new();
    loop {
        let piece = store.read_content(id, read.len() as u64, most).await.unwrap();
        assert!(piece.len() <= most as usize);
        if piece.is_empty() {
            return read;
        }
        read.extend(piece);
    }
}

pub(super) async fn a_content_is_read_as_it_was_written(store: Arc<dyn Store>) {
    let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    let attachment = kept(&*store, 1).await;
    let mut sink = store.open_sink(&attachment.id).await.unwrap();
    for piece in [&bytes[..1], &bytes[1..1], &bytes[1..300_000], &bytes[300_000..]] {
        sink.write(piece).await.unwrap();
    }
    sink.finish().await.unwrap();
    store.complete_attachment(&attachment.id, "application/pdf", 700_000).await.unwrap();
    store.keep_attachment(&attachment.id).await.unwrap();
    let expected = Attachment { mime_type: "application/pdf".into(), size: 700_000, is_kept: true, ..attachment.clone() };
    assert_eq!(store.find_attachment(&attachment.id).await.unwrap(), Some(expected.clone()));
    assert_eq!(store.list_attachments_of(&attachment.message).await.unwrap(), [expected]);
    for most in [99_999, 1_000_000] {
        assert!(content(&*store, &attachment.id, most).await == bytes, "{most}");
    }
    assert_eq!(store.read_content(&attachment.id, 261_119, 2).await.unwrap()[0], bytes[261_119], "the last byte of a chunk");
    assert!(store.read_content(&attachment.id, 700_000, 9).await.unwrap().is_empty());
}

pub(super) async fn what_is_removed_is_gone_finished_or_not(store: Arc<dyn Store>) {
    let (whole, part, bare) = (kept(&*store, 1).await, kept(&*store, 2).await, kept(&*store, 3).await);
    let mut sink = store.open_sink(&whole.id).await.unwrap();
    sink.write(b"whole").await.unwrap();
    sink.finish().await.unwrap();
    let mut sink = store.open_sink(&part.id).await.unwrap();
    sink.write(b"part").await.unwrap();
    drop(sink);
    for attachment in [&whole, &part, &bare, &whole] {
        store.remove_attachment(&attachment.id).await.unwrap();
        assert_eq!(store.find_attachment(&attachment.id).await.unwrap(), None);
        assert!(
            store.read_content(&attachment.id, 0, 9).await.is_ok_and(|p| p.is_empty())
                || store.read_content(&attachment.id, 0, 9).await.is_err()
        );
    }
    store.complete_attachment(&whole.id, "x", 1).await.unwrap();
    store.keep_attachment(&whole.id).await.unwrap();
    assert_eq!(store.find_attachment(&whole.id).await.unwrap(), None, "nothing comes back");
}

pub(super) async fn what_is_not_kept_is_listed_oldest_first(store: Arc<dyn Store>) {
    let (second, first, third, late) = (kept(&*store, 20).await, kept(&*store, 10).await, kept(&*store, 30).await, kept(&*store, 40).await);
    let kept_one = kept(&*store, 5).await;
    store.keep_attachment(&kept_one.id).await.unwrap();
    let unkept = async |before, limit| store.list_unkept_attachments(at(before), limit).await.unwrap();
    assert_eq!(unkept(40, 9).await, [first.clone(), second.clone(), third]);
    assert_eq!(unkept(41, 2).await, [first, second]);
    assert_eq!((unkept(41, 9).await.len(), unkept(41, 0).await.len()), (4, 0));
    store.remove_attachment(&late.id).await.unwrap();
    assert_eq!(unkept(41, 9).await.len(), 3);
}
